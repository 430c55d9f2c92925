import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { unavailable } from '#kernel';

/** A piece of a body: bytes as they are, or a part of a file. */
export type BodyPart = Buffer | { readonly path: string; readonly first: number; readonly bytes: number };

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
  private handle: FileHandle | null = null;

  constructor(private readonly parts: readonly BodyPart[]) {
    // One byte: the next chunk is read when the last one has been taken.
    super({ highWaterMark: 1 });
  }

  override _read(): void {
    this.next().then((chunk) => this.push(chunk), (error: Error) => this.destroy(error));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const close = this.handle?.close() ?? Promise.resolve();
    this.handle = null;
    close.then(() => done(error), () => done(error));
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
      await this.handle?.close();
      this.handle = null;
      this.done = 0;
      this.part++;
    }
  }

  private async readChunk(part: Exclude<BodyPart, Buffer>): Promise<Buffer> {
    this.handle ??= await open(part.path, 'r');
    const buffer = this.ring[this.turn++ % buffers]!;
    const { bytesRead } = await this.handle.read(buffer, 0, Math.min(chunkBytes, part.bytes - this.done), part.first + this.done);
    if (bytesRead === 0) throw unavailable(`"${part.path}" became shorter while it was sent`);
    this.done += bytesRead;
    return buffer.subarray(0, bytesRead);
  }
}
