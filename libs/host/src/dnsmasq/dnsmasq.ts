import { readdir, readFile } from 'node:fs/promises';
import { internal } from '#kernel';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';

/** A process told from a later one with the same number by when it began (clock ticks after boot). */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: number;
}

/** The `dnsmasq` daemon. It detaches itself, so that it belongs to no process of ours. */
export class Dnsmasq {
  constructor(private readonly commands: CommandRunner) {}

  /**
   * Starts it and returns when it serves: the foreground half ends only after the daemon has bound its sockets, dropped its
   * privileges and written its pid file. Throws `internal` with what it complained about.
   */
  async start(args: readonly string[], pidFile: string): Promise<ProcessIdentity> {
    try {
      await this.commands.run({ argv: ['dnsmasq', ...args, `--pid-file=${pidFile}`], timeoutMs: 10_000 });
    } catch (error) {
      if (!(error instanceof CommandFailedError)) throw error;
      throw internal(
        `The DNS and DHCP service exited prematurely: Process exited with non-zero value ${error.exitCode} ("${error.stderrTail}")`, { cause: error },
      );
    }
    const running = await this.find(args, pidFile);
    if (running === null) throw internal('The DNS and DHCP service exited prematurely: it is gone right after its start');
    return running;
  }

  /** The live process of the pid file if it was started with exactly these arguments, else null. */
  async find(args: readonly string[], pidFile: string): Promise<ProcessIdentity | null> {
    const pid = await readPid(pidFile);
    const command = pid === null ? null : await readCommandLine(pid);
    if (pid === null || command === null) return null;
    const wanted = [...args, `--pid-file=${pidFile}`];
    return command.length === wanted.length + 1 && wanted.every((word, i) => word === command[i + 1]) ? identify(pid) : null;
  }

  /** The live process of the pid file if it is a dnsmasq with this pid file, whatever its other arguments. */
  async findByPidFile(pidFile: string): Promise<ProcessIdentity | null> {
    const pid = await readPid(pidFile);
    const command = pid === null ? null : await readCommandLine(pid);
    return pid !== null && command !== null && command.includes(`--pid-file=${pidFile}`) ? identify(pid) : null;
  }

  /** All live processes with this argument on their command line; looks at every process of the host. */
  async findByArgument(argument: string): Promise<ProcessIdentity[]> {
    const pids = (await readdir('/proc')).map(Number).filter((pid) => Number.isInteger(pid) && pid > 1);
    const found = await Promise.all(pids.map(async (pid) => ((await readCommandLine(pid))?.includes(argument) ? identify(pid) : null)));
    return found.filter((process_) => process_ !== null);
  }

  /** Has it read its hosts files again. False when it is gone. */
  async reload(running: ProcessIdentity): Promise<boolean> {
    return signal(running, 'SIGHUP');
  }

  /** Ends it and waits until it is gone (killed after 2 s). */
  async stop(running: ProcessIdentity): Promise<void> {
    const deadline = performance.now() + 2000;
    let sent = await signal(running, 'SIGTERM');
    for (let delay = 1; sent && (await identify(running.pid))?.startTime === running.startTime; delay = Math.min(delay * 2, 50)) {
      if (performance.now() > deadline) sent = await signal(running, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
}

async function signal(process_: ProcessIdentity, name: NodeJS.Signals): Promise<boolean> {
  if ((await identify(process_.pid))?.startTime !== process_.startTime) return false;
  try {
    return process.kill(process_.pid, name);
  } catch {
    return false; // It ended between the look and the signal.
  }
}

async function readPid(pidFile: string): Promise<number | null> {
  const text = await readOrNull(pidFile);
  const pid = Number(text?.trim());
  return text !== null && Number.isInteger(pid) && pid > 1 ? pid : null;
}

async function readCommandLine(pid: number): Promise<string[] | null> {
  const text = await readOrNull(`/proc/${pid}/cmdline`);
  return text === null || text === '' ? null : text.replace(/\0$/, '').split('\0');
}

/** Null for a process that is gone or only waits to be reaped. */
async function identify(pid: number): Promise<ProcessIdentity | null> {
  const stat = await readOrNull(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name in parentheses may hold blanks; what follows it may not.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = Number(fields[19]);
  return fields[0] === 'Z' || fields[0] === 'X' ? null : { pid, startTime };
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null; // A process or file that is not there.
  }
}
