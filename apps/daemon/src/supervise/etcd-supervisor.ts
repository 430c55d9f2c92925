import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { Deadline, messageOf, unavailable, type Logger } from '#kernel';
import { EtcdLauncher, isSameRun, parseEtcdVersion, type EtcdExit, type EtcdLaunch, type RunningEtcd } from '#platform/raft';
import { EtcdLogFile } from './etcd-log-file.js';
import { findEtcd, type FoundEtcd } from './etcd-processes.js';
import { runs, startTicksOf, type FoundProcess } from './processes.js';

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const replaceTimeoutMs = 5_000;
/** How soon the end of a process that is not our child is seen. */
const pollMs = 250;

/**
 * Runs etcd beside the daemon: detached, so that the log goes on when the daemon is killed; the next one finds it by its data directory. Its data
 * directory is also its working directory, which is how it is known again.
 */
export class EtcdSupervisor extends EtcdLauncher {
  constructor(private readonly logger: Logger, private readonly program = process.env['ROOST_ETCD'] || 'etcd') {
    super();
  }

  override async version(): Promise<string> {
    const { stdout } = await promisify(execFile)(this.program, ['--version'], { env: environment({}), timeout: 10_000 }).catch((error: unknown) => {
      throw unavailable(`etcd is not installed: the cluster's log needs it (package etcd-server): ${messageOf(error).split('\n')[0]}`, { cause: error });
    });
    const version = parseEtcdVersion(stdout);
    if (version === null) throw unavailable(`"${this.program} --version" says no version`);
    return version;
  }

  override async start(launch: EtcdLaunch): Promise<RunningEtcd> {
    mkdirSync(launch.dataDirectory, { recursive: true, mode: 0o700 });
    const log = new EtcdLogFile(launch.logFile);
    const found = await this.findOrEnd(launch);
    return found === undefined ? this.spawn(launch, log) : watchFound(found, log);
  }

  /** The one to keep, if there is one; whatever else uses the data directory is ended. */
  private async findOrEnd(launch: EtcdLaunch): Promise<FoundEtcd | undefined> {
    const found = findEtcd(launch.dataDirectory);
    const usable = found.find((etcd) => etcd.sameNetwork && isSameRun(etcd.arguments, launch.arguments));
    for (const other of found.filter((etcd) => etcd !== usable)) {
      this.logger.info('Replacing an etcd that was started otherwise', { pid: other.pid });
      await end(other, replaceTimeoutMs);
    }
    return usable;
  }

  private async spawn(launch: EtcdLaunch, log: EtcdLogFile): Promise<RunningEtcd> {
    const fd = log.open();
    try {
      const child = spawn(this.program, launch.arguments, { cwd: launch.dataDirectory, env: environment(launch.environment), detached: true, stdio: ['ignore', fd, fd] });
      const exited = exitOf(child, log);
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', (error) => reject(unavailable(`Failed starting etcd: ${error.message}`, { cause: error })));
      });
      child.unref();
      const startTicks = startTicksOf(child.pid!);
      const started = { pid: child.pid!, startTicks: startTicks ?? -1 };
      return { pid: child.pid!, adopted: false, exited, terminate: (timeoutMs) => this.endChild(child, startTicks === null ? null : started, exited, timeoutMs) };
    } catch (error) {
      log.close();
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  private async endChild(child: ChildProcess, started: FoundProcess | null, exited: Promise<EtcdExit>, timeoutMs: number): Promise<void> {
    // Nothing else may keep a daemon alive that is stopping, and it has to hear of the end.
    child.ref();
    if (started !== null) await end(started, timeoutMs);
    await exited;
  }
}

function exitOf(child: ChildProcess, log: EtcdLogFile): Promise<EtcdExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ code, signal, tail: log.tail() });
      log.close();
    });
  });
}

/** One that an earlier daemon started is not our child: its end is seen by looking. */
function watchFound(found: FoundEtcd, log: EtcdLogFile): RunningEtcd {
  const exited = new Promise<EtcdExit>((resolve) => {
    const timer = setInterval(() => {
      if (runs(found)) return;
      clearInterval(timer);
      resolve({ code: null, signal: null, tail: log.tail() });
      log.close();
    }, pollMs).unref();
  });
  return { pid: found.pid, adopted: true, exited, terminate: (timeoutMs) => end(found, timeoutMs) };
}

/** Asks, waits, kills. */
async function end(process: FoundProcess, timeoutMs: number): Promise<void> {
  for (const [name, waitMs] of [['SIGTERM', timeoutMs], ['SIGKILL', 2_000]] as const) {
    signal(process, name);
    for (const deadline = new Deadline(waitMs); runs(process) && !deadline.passed;) await new Promise((resolve) => setTimeout(resolve, 20));
    if (!runs(process)) return;
  }
}

function signal(found: FoundProcess, name: NodeJS.Signals): void {
  try {
    if (runs(found)) process.kill(found.pid, name);
  } catch {
    // Ended between the two calls.
  }
}

/** Nothing of ours: etcd takes its flags from `ETCD_*` too. */
function environment(extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { PATH: searchPath, LC_ALL: 'C', HOME: '/', GOTRACEBACK: 'single', ...(process.arch === 'arm64' ? { ETCD_UNSUPPORTED_ARCH: 'arm64' } : {}), ...extra };
}
