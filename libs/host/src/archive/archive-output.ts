import { close, write } from 'node:fs';
import { promisify } from 'node:util';
import { AppError, messageOf, unavailable } from '#kernel';
import type { CommandRunner } from '../command.js';
import { Squashfs } from '../squashfs/squashfs.js';
import { makePipe } from '../syscalls/syscalls.js';
import { tarEnd, tarHeader, tarPadding, type TarFile } from './tar-header.js';

const writeAsync = promisify(write);
const closeAsync = promisify(close);

const lowPriority = ['ionice', '-c', '2', '-n', '7'];

/** An archive that is being written to a descriptor: small files by us, everything else by programs that get the descriptor. */
export class ArchiveOutput {
  constructor(readonly fd: number) {}

  async file(file: Omit<TarFile, 'sizeBytes'>, content: Buffer): Promise<void> {
    await this.write(Buffer.concat([tarHeader({ ...file, sizeBytes: content.length }), content, tarPadding(content.length)]));
  }

  async header(file: TarFile): Promise<void> {
    await this.write(tarHeader(file));
  }

  async padding(sizeBytes: number): Promise<void> {
    await this.write(tarPadding(sizeBytes));
  }

  async end(): Promise<void> {
    await this.write(tarEnd());
  }

  private async write(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;) done += (await writeAsync(this.fd, bytes, done, bytes.length - done)).bytesWritten;
  }
}

export interface CompressedOptions {
  readonly command: CommandRunner;
  /** Program and arguments that compress what they read; `squashfs` for a file system; null to leave it as it is. */
  readonly compressor: readonly [string, ...string[]] | null;
  /** Where the archive goes. */
  readonly fd: number;
  /** For what has to be a file first, which gets no name there. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** Calls `fill` with an archive whose bytes go to `fd`, compressed on the way. Resolves when all of it is there. */
export async function compressed({ command, compressor, fd, directory, signal }: CompressedOptions, fill: (output: ArchiveOutput, signal: AbortSignal) => Promise<void>): Promise<void> {
  if (compressor === null) return fill(new ArchiveOutput(fd), signal);
  const pipe = makePipe();
  const abort = new AbortController();
  const giveUp = (): void => abort.abort(unavailable('The archive was given up'));
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  const packing = compressor[0] === 'squashfs' ? new Squashfs(command).pack({ input: pipe.read, output: fd, directory, signal: abort.signal })
    : command.run({ argv: [...lowPriority, ...compressor], stdin: { fd: pipe.read }, stdoutFd: fd, timeoutMs: 0, signal: abort.signal });
  const packed = Promise.resolve<unknown>(packing).finally(() => closeAsync(pipe.read));
  // A compressor that dies leaves its readers' end closed; whoever writes must not wait for it.
  packed.catch(giveUp);
  const filled = fill(new ArchiveOutput(pipe.write), abort.signal).catch((error: unknown) => {
    giveUp();
    throw error;
  }).finally(() => closeAsync(pipe.write));
  const results = await Promise.allSettled([packed, filled]);
  signal.removeEventListener('abort', giveUp);
  const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
  // Whoever failed first says why; the other only hears that it is over.
  const reason = reasons.find((error) => !AppError.is(error, 'unavailable') && !messageOf(error).includes('EPIPE') && !messageOf(error).includes('SIGPIPE')) ?? reasons[0];
  if (reason !== undefined) throw reason;
}
