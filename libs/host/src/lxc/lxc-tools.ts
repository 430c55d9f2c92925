import { readFile } from 'node:fs/promises';
import { CommandFailedError } from '../command.errors.js';
import { searchPath, type CommandRunner } from '../command.js';
import { internal } from '#kernel';

const startTimeoutMs = 60_000;

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
