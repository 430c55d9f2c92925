import type { CommandRunner } from '../command.js';

const lowPriority = ['ionice', '-c', '2', '-n', '7'];

/** `btrfs send` and `btrfs receive` on a pipe. Several subvolumes are several streams one after the other. */
export class BtrfsStream {
  constructor(private readonly command: CommandRunner) {}

  /** Sends a read-only subvolume; only what differs from `parent` where one is named, which the receiver got before. */
  async send(options: { readonly path: string; readonly parent: string | null; readonly fd: number; readonly signal: AbortSignal }): Promise<void> {
    const { path, parent, fd, signal } = options;
    const argv = [...lowPriority, 'btrfs', 'send', '-q', ...(parent === null ? [] : ['-p', parent]), path];
    await this.command.run({ argv, stdoutFd: fd, timeoutMs: 0, signal });
  }

  /** Takes everything that comes, read-only, under the names it was sent by. `confined`: whatever the stream names, nothing outside `into` is reached. */
  async receive(options: { readonly into: string; readonly fd: number; readonly signal: AbortSignal; readonly confined?: boolean }): Promise<void> {
    const { into, fd, signal, confined = false } = options;
    await this.command.run({ argv: [...lowPriority, 'btrfs', 'receive', '-q', ...(confined ? ['-C'] : []), into], stdin: { fd }, timeoutMs: 0, signal });
  }
}
