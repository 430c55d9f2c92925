import type { Duplex } from 'node:stream';
import { internal } from '#kernel';
import type { Frame } from '../migration/frames.js';
import type { PieceFrames } from '../migration/piece-exchange.js';
import { drained } from './drained.js';

const lengthBytes = 4;
/** As much as a pipe or a frame of the stream gives at once fits many times. */
const frameBytesMax = 8 * 1024 * 1024;
const end = Buffer.alloc(lengthBytes);

/** Messages, and ends between them, in a stream of bytes both ways: the length of each in front of it, nothing for an end. */
export class StreamFrames implements PieceFrames {
  private readonly chunks: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(private readonly stream: Duplex) {
    // The end of what comes is not the end of what is sent.
    this.chunks = stream.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  }

  /** Null once the other side has ended the stream. @throws what the stream fails with, and `internal` for one that breaks off. */
  async take(): Promise<Frame | null> {
    const head = await this.bytes(lengthBytes);
    if (head === null) return null;
    const length = head.readUInt32BE(0);
    if (length === 0) return { data: Buffer.alloc(0), binary: false };
    if (length > frameBytesMax) throw internal('The other member sends what is no message');
    const data = await this.bytes(length);
    if (data === null) throw internal('The other member has hung up');
    return { data, binary: true };
  }

  /** Resolves when more may be sent. */
  async send(data: Uint8Array): Promise<void> {
    const head = Buffer.alloc(lengthBytes);
    head.writeUInt32BE(data.length, 0);
    await this.write(Buffer.concat([head, data]));
  }

  /** What comes after is another piece. */
  end(): Promise<void> {
    return this.write(end);
  }

  private async write(data: Uint8Array): Promise<void> {
    if (!this.stream.destroyed && this.stream.write(data)) return;
    await drained(this.stream);
    if (this.stream.destroyed) throw this.stream.errored ?? internal('The other member has hung up');
  }

  private async bytes(count: number): Promise<Buffer | null> {
    const parts = [this.rest];
    for (let missing = count - this.rest.length; missing > 0;) {
      const next = await this.chunks.next();
      if (next.done === true) {
        if (parts.some((part) => part.length > 0)) throw internal('The other member has hung up');
        return null;
      }
      parts.push(next.value);
      missing -= next.value.length;
    }
    const all = parts.length === 1 ? this.rest : Buffer.concat(parts);
    this.rest = all.subarray(count);
    return all.subarray(0, count);
  }
}
