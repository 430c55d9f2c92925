import type net from 'node:net';
import { WebSocket } from 'ws';

/** Bytes handed to the websocket but not to the kernel yet, above which the command waits. */
const highWaterBytes = 4 * 1024 * 1024;
const lowWaterBytes = 1024 * 1024;
/** A frame goes out when it has grown to this, or when the event loop has read all there was. */
const frameBytes = 512 * 1024;
/** A pipe holds up to a mebibyte; commands that say little never need more than the first. */
const firstSlabBytes = 64 * 1024;
const slabBytes = 1024 * 1024;
/** What is left of a slab is not worth a read when it is less. */
const smallestReadBytes = 16 * 1024;
const keptSlabs = 4;

/** Memory that is filled from the front, sent in pieces, and filled again when all of it was sent. */
interface Slab {
  readonly bytes: Buffer;
  filled: number;
  sent: number;
  pending: number;
}

function newSlab(size: number): Slab {
  return { bytes: Buffer.allocUnsafeSlow(size), filled: 0, sent: 0, pending: 0 };
}

/**
 * A command's output on its way to a websocket: binary frames, then an empty text frame, which is how clients tell the end from a lost
 * connection. Reads into its own memory, used again and again, because a buffer per read keeps the collector busier than the copying
 * it saves. Give `onread` to the socket that is opened, then `follow` it.
 */
export class OutputPump {
  readonly onread: net.OnReadOpts = { buffer: () => this.nextBuffer(), callback: (count) => this.take(count) };
  private slab = newSlab(firstSlabBytes);
  private readonly free: Slab[] = [];
  private source: net.Socket | undefined;
  private scheduled = false;
  private waiting = false;

  constructor(private readonly target: WebSocket) {}

  /** Resolves when all of it was handed to the kernel, or when the client has gone. */
  follow(source: net.Socket): Promise<void> {
    this.source = source;
    const { promise, resolve } = Promise.withResolvers<void>();
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      this.flush();
      if (this.target.readyState === WebSocket.OPEN) this.target.send('', { binary: false, compress: false }, () => resolve());
      else resolve();
    };
    for (const event of ['end', 'error', 'close']) source.once(event, end);
    // A command that wrote nothing may have ended before anybody listened.
    if (source.readableEnded) end();
    // Who closes its end of the output breaks the pipe, as with a shell.
    this.target.once('close', () => {
      source.destroy();
      resolve();
    });
    return promise;
  }

  private nextBuffer(): Buffer {
    if (this.slab.bytes.length - this.slab.filled < smallestReadBytes) {
      this.flush();
      const full = this.slab;
      this.slab = this.free.pop() ?? newSlab(slabBytes);
      this.recycle(full);
    }
    return this.slab.bytes.subarray(this.slab.filled);
  }

  /** False stops reading until the client has taken enough. */
  private take(count: number): boolean {
    this.slab.filled += count;
    if (this.slab.filled - this.slab.sent >= frameBytes) this.flush();
    else if (!this.scheduled) {
      this.scheduled = true;
      setImmediate(() => this.flush());
    }
    this.waiting = this.target.bufferedAmount > highWaterBytes;
    return !this.waiting;
  }

  private flush(): void {
    this.scheduled = false;
    const { slab } = this;
    if (slab.filled === slab.sent) return;
    const piece = slab.bytes.subarray(slab.sent, slab.filled);
    slab.sent = slab.filled;
    if (this.target.readyState !== WebSocket.OPEN) return;
    slab.pending++;
    this.target.send(piece, { binary: true, compress: false }, () => {
      slab.pending--;
      this.recycle(slab);
      if (this.waiting && this.target.bufferedAmount < lowWaterBytes) {
        this.waiting = false;
        this.source?.resume();
      }
    });
  }

  private recycle(slab: Slab): void {
    if (slab === this.slab || slab.pending > 0 || slab.bytes.length < slabBytes || this.free.length >= keptSlabs || this.free.includes(slab)) return;
    slab.filled = 0;
    slab.sent = 0;
    this.free.push(slab);
  }
}
