import { invalid } from '#kernel';
import { CommandFailedError } from '../command.errors.js';
import type { CommandRunner } from '../command.js';

const lowPriority = ['ionice', '-c', '2', '-n', '7'];
const unpackTimeoutMs = 3_600_000;
const catTimeoutMs = 60_000;

/** squashfs-tools. Members cannot lead outside: names are single path components and links are never followed. */
export class Squashfs {
  constructor(private readonly command: CommandRunner) {}

  /** Unpacks into a directory, which may exist. Owners, modes, extended attributes and device nodes as archived. */
  async unpack(options: { file: string; into: string; signal?: AbortSignal }): Promise<void> {
    const argv = [...lowPriority, 'unsquashfs', '-force', '-no-progress', '-quiet', '-dest', options.into, options.file];
    try {
      await this.command.run({ argv, timeoutMs: 0, signal: options.signal ?? AbortSignal.timeout(unpackTimeoutMs) });
    } catch (error) {
      if (!(error instanceof CommandFailedError)) throw error;
      throw invalid(`Failed to unpack the squashfs image: ${error.stderrTail.split('\n')[0] ?? ''}`, { cause: error });
    }
  }

  /** One member as text; undefined if it is not there. */
  async readMember(options: { file: string; name: string }): Promise<string | undefined> {
    try {
      return (await this.command.run({ argv: ['unsquashfs', '-cat', options.file, options.name], timeoutMs: catTimeoutMs })).stdout;
    } catch (error) {
      if (error instanceof CommandFailedError) return undefined;
      throw error;
    }
  }
}
