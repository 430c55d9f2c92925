import { lstat } from 'node:fs/promises';
import { removeSmallTree } from '../native-library/native-library.js';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';

/** More is left to a program of its own: calls into the library take a thread that others wait for. */
const smallTreeEntries = 5000;
const removeTimeoutMs = 1_800_000;

/**
 * Deletes trees whose content somebody else wrote. A small one in this process, because starting `rm` takes longer than removing it; the others, and
 * whatever refuses, by `rm`. Both walk by directory descriptors, so a link swapped in meanwhile leads nowhere,
 * and it stays on one file system: what may still be mounted inside is not emptied.
 */
export class RemoveTree {
  constructor(private readonly command: CommandRunner) {}

  /** Absent is success. */
  async remove(path: string): Promise<void> {
    if ((await lstat(path).catch(() => undefined)) === undefined || (await removeSmallTree(path, smallTreeEntries))) return;
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
