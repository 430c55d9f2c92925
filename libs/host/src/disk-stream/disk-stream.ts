import { open } from 'node:fs/promises';
import type { CommandRunner } from '../command.js';
import { blockFile } from '../pool-directories/block-volume.js';

const lowPriority = ['ionice', '-c', '2', '-n', '7'];

/** The disk of a block volume as bytes on a pipe, from its first to its last. */
export class DiskStream {
  constructor(private readonly command: CommandRunner) {}

  /** Of the volume, or snapshot, in this directory. */
  async send({ directory, fd, signal }: { readonly directory: string; readonly fd: number; readonly signal: AbortSignal }): Promise<void> {
    const file = await open(blockFile(directory), 'r');
    try {
      await this.command.run({ argv: [...lowPriority, 'dd', 'bs=1M', 'status=none'], stdin: { fd: file.fd }, stdoutFd: fd, timeoutMs: 0, signal });
    } finally {
      await file.close();
    }
  }

  /** Into this directory, which has none. What is empty in the disk takes no space, however it comes. */
  async receive({ directory, fd, signal }: { readonly directory: string; readonly fd: number; readonly signal: AbortSignal }): Promise<void> {
    const file = await open(blockFile(directory), 'wx', 0o600);
    try {
      await this.command.run({ argv: [...lowPriority, 'dd', 'bs=128k', 'iflag=fullblock', 'conv=sparse', 'status=none'], stdin: { fd }, stdoutFd: file.fd, timeoutMs: 0, signal });
    } finally {
      await file.close();
    }
  }
}
