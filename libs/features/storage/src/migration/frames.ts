import type { WebSocket } from 'ws';
import { internal, unavailable } from '#kernel';

export interface Frame {
  readonly data: Buffer;
  /** Bytes; else a text, which ends a stream. */
  readonly binary: boolean;
}

/** What waits to be taken before the sender has to wait. */
const highWaterBytes = 2 * 1024 * 1024;
/** Bytes handed to a websocket but not to the kernel yet, above which whoever sends waits. */
const bufferedBytesMax = 4 * 1024 * 1024;

/** The messages of a websocket, taken one after another: who does not take them slows the sender down. */
export class Frames {
  private readonly queue: Frame[] = [];
  private queuedBytes = 0;
  private closed = false;
  private readonly wakers: (() => void)[] = [];

  constructor(private readonly socket: WebSocket) {
    socket.on('message', (data: Buffer, binary: boolean) => {
      this.queue.push({ data, binary });
      this.queuedBytes += data.length;
      if (this.queuedBytes > highWaterBytes) socket.pause();
      this.wake();
    });
    socket.once('close', () => {
      this.closed = true;
      this.wake();
    });
    if (socket.readyState >= 2) this.closed = true;
    socket.resume();
  }

  /** Null once the other side is gone and everything it sent was taken. */
  async take(): Promise<Frame | null> {
    for (;;) {
      const frame = this.queue.shift();
      if (frame !== undefined) {
        this.queuedBytes -= frame.data.length;
        if (this.socket.isPaused && this.queuedBytes < highWaterBytes / 2) this.socket.resume();
        return frame;
      }
      if (this.closed) return null;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wakers.push(resolve);
      await promise;
    }
  }

  /** Everything up to the next text message. @throws `internal` for more than `maxBytes`, `unavailable` when the other side goes before. */
  async takeText(maxBytes: number): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const frame = await this.take();
      if (frame === null) throw unavailable('The other side has hung up');
      if (!frame.binary) return Buffer.concat(chunks).toString('utf8');
      bytes += frame.data.length;
      if (bytes > maxBytes) throw internal('The other side says more than anybody could want to know');
      chunks.push(frame.data);
    }
  }

  /** Resolves when more may be sent. */
  async send(data: Uint8Array | string, binary: boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.socket.send(data, { binary, compress: false }, (error) => (error ? reject(unavailable('The other side has hung up', { cause: error })) : resolve()));
    if (binary && this.socket.bufferedAmount < bufferedBytesMax) {
      promise.catch(() => {});
      return;
    }
    await promise;
  }

  /** Ends a stream: what comes after is another one. */
  end(): Promise<void> {
    return this.send('', false);
  }

  private wake(): void {
    for (const wake of this.wakers.splice(0)) wake();
  }
}
