import type net from 'node:net';
import { WebSocket } from 'ws';
import { ByteIntake, recycle } from '#platform/bytes';

/** Bytes handed to the websocket but not to the kernel yet, above which the command waits. */
const highWaterBytes = 4 * 1024 * 1024;
const lowWaterBytes = 1024 * 1024;
/**
 * A command's output on its way to a websocket: binary frames, then an empty text frame, which is how clients tell the end from a lost
 * connection. Give `onread` to the socket that is opened, then `follow` it.
 */
export class OutputPump {
  private readonly intake = new ByteIntake((piece) => this.send(piece));
  readonly onread = this.intake.onread;
  private source: net.Socket | undefined;

  constructor(private readonly target: WebSocket) {}

  /** Resolves when all of it was handed to the kernel, or when the client has gone. */
  follow(source: net.Socket): Promise<void> {
    this.source = source;
    const { promise, resolve } = Promise.withResolvers<void>();
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      this.intake.flush();
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

  /** False stops reading until the client has taken enough. */
  private send(piece: Buffer): boolean {
    if (this.target.readyState !== WebSocket.OPEN) return true;
    this.target.send(piece, { binary: true, compress: false }, () => {
      recycle(piece);
      if (this.target.bufferedAmount < lowWaterBytes) this.intake.resume(this.source);
    });
    return this.target.bufferedAmount <= highWaterBytes;
  }
}
