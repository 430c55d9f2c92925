import { relative } from 'node:path';
import type { CommandRunner } from '../command.js';
import { findRoostHelper } from '../roost-helper/roost-helper.js';

const lowPriority = ['ionice', '-c', '2', '-n', '7'];

/** `btrfs send` and `btrfs receive` on a pipe. Several subvolumes are several streams one after the other. */
export class BtrfsStream {
  constructor(private readonly command: CommandRunner, private readonly helper: string = findRoostHelper()) {}

  /** Sends a read-only subvolume; only what differs from `parent` where one is named, which the receiver got before. */
  async send(options: { readonly path: string; readonly parent: string | null; readonly fd: number; readonly signal: AbortSignal }): Promise<void> {
    const { path, parent, fd, signal } = options;
    const argv = [...lowPriority, 'btrfs', 'send', '-q', ...(parent === null ? [] : ['-p', parent]), path];
    await this.command.run({ argv, stdoutFd: fd, timeoutMs: 0, signal });
  }

  /** Takes everything that comes, read-only, under the names it was sent by. Whatever the stream names, nothing outside `into` is reached. */
  async receive(options: { readonly into: string; readonly fd: number; readonly signal: AbortSignal }): Promise<void> {
    const { into, fd, signal } = options;
    await this.command.run({ argv: [...lowPriority, 'btrfs', 'receive', '-q', '-C', into], stdin: { fd }, timeoutMs: 0, signal });
  }

  /**
   * The same, also of differences to what lies elsewhere in the pool. Such a parent is found by an id that whoever owns a subvolume may give it, and may hold
   * links: none is followed, and nothing outside the pool is reached.
   */
  async receiveInPool(options: { readonly pool: string; readonly into: string; readonly fd: number; readonly signal: AbortSignal }): Promise<void> {
    const { pool, into, fd, signal } = options;
    const argv = [...lowPriority, this.helper, 'confined', 'nolinks', pool, 'btrfs', 'receive', '-q', '-m', '/volume', `/volume/${relative(pool, into)}`];
    await this.command.run({ argv, stdin: { fd }, timeoutMs: 0, signal });
  }
}
