import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';

const copyTimeoutMs = 6 * 3_600_000;
/** rsync's word for files that were gone when it came to them. */
const vanished = 24;
/** Copying must not starve the disk of etcd and of running instances (hazards F6); the wrapper execs. */
const lowPriority = ['ionice', '-c', '2', '-n', '7'];

/** Copies trees with everything that belongs to them: owners, modes, times, links, holes, extended attributes, device nodes. */
export class CopyTree {
  constructor(private readonly command: CommandRunner) {}

  /** `target` is absent, or holds what an earlier attempt has left. Shares blocks where the file system can. */
  async copy(source: string, target: string): Promise<void> {
    try {
      await this.command.run({ argv: [...lowPriority, 'cp', '-a', '--reflink=auto', '--no-target-directory', '--', source, target], timeoutMs: copyTimeoutMs });
    } catch (error) {
      if (!(error instanceof CommandFailedError) || !error.stderrTail.includes('No such file or directory')) throw error;
      // Something was removed while we looked: rsync brings both trees to the same state and knows that this is no failure.
      await this.mirror(source, target);
    }
  }

  /** Makes `target` what `source` is, copying only what differs, by its content. */
  mirror(source: string, target: string): Promise<void> {
    return this.sync(source, target, ['--delete']);
  }

  /** Makes `target`, which is absent, from `source`; files that `former` holds alike become further links to them. */
  renew(source: string, target: string, former: string): Promise<void> {
    return this.sync(source, target, [`--link-dest=${former}`]);
  }

  /** Sizes and times do not tell whether a file changed within a second; contents do. */
  private async sync(source: string, target: string, options: readonly string[]): Promise<void> {
    const argv = [...lowPriority, 'rsync', '-aHAXS', '--numeric-ids', '--devices', '--checksum', ...options, '--', `${source}/`, `${target}/`];
    await this.command.run({ argv, timeoutMs: copyTimeoutMs, okExitCodes: [0, vanished] });
  }
}
