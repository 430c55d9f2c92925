import type net from 'node:net';
import { Slabs } from './slabs.js';

/** A piece is handed on when it has grown to this, or when the event loop has read all there was. */
const pieceBytes = 512 * 1024;

/** Reads a socket into memory that is used again: give `onread` to the socket that is opened. Whoever gets a piece gives it back by `recycle`. */
export class ByteIntake {
  readonly onread: net.OnReadOpts = { buffer: () => this.room(), callback: (count) => this.take(count) };
  private readonly slabs = new Slabs();
  private scheduled = false;
  private paused = false;

  /** `deliver` answers whether there is room for more; if not, reading rests until `resume`. */
  constructor(private readonly deliver: (piece: Buffer) => boolean) {}

  /** Hands on what was read so far. At the end of the socket, before anybody is told of it. */
  flush(): void {
    this.scheduled = false;
    const piece = this.slabs.cut();
    if (piece !== undefined && !this.deliver(piece)) this.paused = true;
  }

  resume(socket: net.Socket | undefined): void {
    if (!this.paused) return;
    this.paused = false;
    socket?.resume();
  }

  private room(): Buffer {
    if (this.slabs.isFull) this.flush();
    return this.slabs.room();
  }

  /** False stops reading. */
  private take(count: number): boolean {
    this.slabs.fill(count);
    if (this.slabs.uncut >= pieceBytes) this.flush();
    else if (!this.scheduled) {
      this.scheduled = true;
      setImmediate(() => this.flush());
    }
    return !this.paused;
  }
}
