import { lstat } from 'node:fs/promises';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';

const removeTimeoutMs = 1_800_000;

/**
 * Deletes trees whose content somebody else wrote. `rm` walks by directory descriptors, so a link swapped in meanwhile leads nowhere,
 * and it stays on one file system: what may still be mounted inside is not emptied.
 */
export class RemoveTree {
  constructor(private readonly command: CommandRunner) {}

  /** Absent is success. */
  async remove(path: string): Promise<void> {
    if ((await lstat(path).catch(() => undefined)) === undefined) return;
    const argv = ['rm', '-rf', '--one-file-system', '--', path];
    try {
      await this.command.run({ argv, timeoutMs: removeTimeoutMs });
    } catch (error) {
      if (!(error instanceof CommandFailedError) || !error.stderrTail.includes('Operation not permitted')) throw error;
      // A container's root may have made files immutable; they are ours to remove all the same.
      await this.command.succeeds({ argv: ['chattr', '-R', '-f', '-i', '-a', path], timeoutMs: removeTimeoutMs });
      await this.command.run({ argv, timeoutMs: removeTimeoutMs });
    }
  }
}
