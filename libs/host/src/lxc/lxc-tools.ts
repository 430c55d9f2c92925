import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CommandFailedError } from '../command.errors.js';
import { isInstalled, searchPath, type CommandRunner } from '../command.js';
import { internal } from '#kernel';

const startTimeoutMs = 60_000;
/** All of a container's memory goes to a disk, or comes from there. */
const checkpointTimeoutMs = 3_600_000;

/** LXC's own command-line tools. */
export class LxcTools {
  /** @param plainIdMaps directory that `makePlainIdMaps` has made. */
  constructor(
    private readonly commands: CommandRunner,
    private readonly plainIdMaps: string,
  ) {}

  /**
   * Starts a container whose configuration is `<lxcPath>/<name>/config` and returns when LXC says that it runs. That is a claim, not
   * a fact: `lxc-start` also exits with 0 when another container answers under this name (hazards B3). Look at the cgroup.
   */
  async start(container: { lxcPath: string; name: string; logFile: string }): Promise<void> {
    try {
      const argv = ['lxc-start', '--lxcpath', container.lxcPath, '--name', container.name];
      await this.commands.run({ argv, timeoutMs: startTimeoutMs, env: { PATH: `${this.plainIdMaps}:${searchPath}` } });
    } catch (error) {
      if (!(error instanceof CommandFailedError)) throw error;
      const log = await readFile(container.logFile, 'utf8').catch(() => '');
      throw internal(`Failed to run: lxc-start ${container.name}: ${firstError(log) ?? error.stderrTail}`, { cause: error });
    }
  }

  /** Whether LXC finds the program that writes processes down and brings them back. */
  get hasCriu(): boolean {
    return isInstalled('criu');
  }

  /**
   * Writes the processes of a running container to `directory`, and ends them with `stop`. What CRIU says goes to `dump.log` there; it lets a container
   * that it cannot write down go on.
   */
  async checkpoint(container: { lxcPath: string; name: string; directory: string; stop: boolean }): Promise<void> {
    const argv = ['lxc-checkpoint', '--lxcpath', container.lxcPath, '--name', container.name, '--checkpoint-dir', container.directory, '--verbose'];
    await this.commands.run({ argv: container.stop ? [...argv, '--stop'] : argv, timeoutMs: checkpointTimeoutMs });
  }

  /**
   * Brings processes that `checkpoint` wrote down back, as a container whose configuration is `<lxcPath>/<name>/config`. CRIU's word is in `restore.log`. The
   * container's monitor is a child of the program's that keeps what it was given: it gets no pipe of ours, and a session of its own.
   */
  async restore(container: { lxcPath: string; name: string; directory: string }): Promise<void> {
    const argv = ['lxc-checkpoint', '--restore', '--lxcpath', container.lxcPath, '--name', container.name, '--checkpoint-dir', container.directory, '--verbose', '--daemon'];
    const output = openSync('/dev/null', 'w');
    try {
      const child = await this.commands.spawn({ argv, descriptors: ['ignore', output, output], outlivesUs: true });
      const { exitCode, signal } = await child.exited;
      if (exitCode !== 0) throw new CommandFailedError(argv, exitCode, signal, '');
    } finally {
      closeSync(output);
    }
  }

  /** Writes a control file of a running container by way of LXC's monitor, which alone knows the program that guards devices on cgroup v2. */
  async setCgroupItem(change: { lxcPath: string; name: string; item: string; value: string }): Promise<void> {
    await this.commands.run({ argv: ['lxc-cgroup', '--lxcpath', change.lxcPath, '--name', change.name, change.item, change.value] });
  }

  /** `5.0.2`. */
  async version(): Promise<string> {
    return (await this.commands.run({ argv: ['lxc-start', '--version'] })).stdout.trim();
  }
}

/** The text of the first ERROR line of an LXC log: later ones only say that earlier ones happened. */
export function firstError(log: string): string | null {
  const line = log.split('\n').find((text) => / ERROR +/.test(text));
  return line === undefined ? null : line.replace(/^.* ERROR +\S+ - \S+ - /, '').trim();
}
