import type net from 'node:net';
import { Readable } from 'node:stream';
import { ByteIntake } from './byte-intake.js';

/** What a socket, or the reading end of a pipe, brings, in memory that is used again: whoever takes a piece gives it back by `recycle` when he is done with it. */
export class IntakeStream extends Readable {
  private source: net.Socket | undefined;
  private readonly intake = new ByteIntake((piece) => this.push(piece));

  private constructor() {
    super({ highWaterMark: 1024 * 1024 });
  }

  /** `open` makes the socket with the given option of `net.Socket`. */
  static async open(open: (onread: net.OnReadOpts) => Promise<net.Socket>): Promise<IntakeStream> {
    const stream = new IntakeStream();
    stream.follow(await open(stream.intake.onread));
    return stream;
  }

  override _read(): void {
    this.intake.resume(this.source);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.source?.destroy();
    done(error);
  }

  private follow(source: net.Socket): void {
    this.source = source;
    source.once('error', (error) => this.destroy(error));
    source.once('end', () => {
      this.intake.flush();
      this.push(null);
    });
    source.once('close', () => {
      if (!source.readableEnded) this.destroy();
    });
    source.resume();
  }
}
