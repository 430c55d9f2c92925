import { closeSync, openSync, read } from 'node:fs';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { unavailable } from '#kernel';
import { readCached } from './cached-read.js';

/** A piece of a body: bytes as they are, or a part of a file. */
export type BodyPart = Buffer | { readonly path: string; readonly first: number; readonly bytes: number };

const readByThread = promisify(read);
const chunkBytes = 512 * 1024;
/** At most one chunk waits here, one is with the socket, and one small one (a last piece) may be there too. */
const buffers = 4;

/**
 * Sends parts of files through a few buffers that are used again and again. Buffers of their own for each chunk would halve the speed,
 * for they make the garbage collector run all the time.
 *
 * A chunk is valid until the third one after it. That suits what it is for: piping to a socket, which takes no more before it has sent
 * what it got, as each chunk is larger than its high-water mark. It must not be collected in memory.
 */
export class FileStream extends Readable {
  private readonly ring = Array.from({ length: buffers }, () => Buffer.allocUnsafeSlow(chunkBytes));
  private turn = 0;
  private part = 0;
  /** Bytes of the current part that were read. */
  private done = 0;
  private fd: number | null = null;
  private reading: Promise<unknown> = Promise.resolve();

  constructor(private readonly parts: readonly BodyPart[]) {
    // One byte: the next chunk is read when the last one has been taken.
    super({ highWaterMark: 1 });
  }

  override _read(): void {
    const next = this.next();
    this.reading = next;
    next.then((chunk) => this.push(chunk), (error: Error) => this.destroy(error));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // A thread may be reading still; the descriptor's number must not be another's by then.
    this.reading.then(() => this.close(), () => this.close()).then(() => done(error), () => done(error));
  }

  private async next(): Promise<Buffer | null> {
    for (;;) {
      const part = this.parts[this.part];
      if (part === undefined) return null;
      if (Buffer.isBuffer(part)) {
        this.part++;
        return part;
      }
      if (this.done < part.bytes) return this.readChunk(part);
      this.close();
      this.done = 0;
      this.part++;
    }
  }

  private close(): void {
    const { fd } = this;
    this.fd = null;
    if (fd !== null) closeSync(fd);
  }

  private async readChunk(part: Exclude<BodyPart, Buffer>): Promise<Buffer> {
    // Opening takes microseconds; a thread of the pool would take longer to wake up.
    const fd = (this.fd ??= openSync(part.path, 'r'));
    const buffer = this.ring[this.turn++ % buffers]!;
    const [wanted, position] = [Math.min(chunkBytes, part.bytes - this.done), part.first + this.done];
    const bytesRead = readCached(fd, buffer, wanted, position) ?? (await readByThread(fd, buffer, 0, wanted, position)).bytesRead;
    if (bytesRead === 0) throw unavailable(`"${part.path}" became shorter while it was sent`);
    this.done += bytesRead;
    return buffer.subarray(0, bytesRead);
  }
}
