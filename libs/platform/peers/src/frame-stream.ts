import { Duplex } from 'node:stream';
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { unavailable } from '#kernel';
import type { Frame } from './protocol.js';

type Call = ClientDuplexStream<Frame, Frame> | ServerDuplexStream<Frame, Frame>;

const frameBytes = 256 * 1024;

/**
 * The bytes of a call as a stream: each side ends its own direction with a frame, since gRPC lets only the caller do so. Writes wait for the other side
 * to take them, reads stop the call when nobody reads.
 */
export class FrameStream extends Duplex {
  private ended = false;

  constructor(private readonly call: Call, private readonly failure: (error: Error) => Error, private readonly finish: () => void) {
    super({ allowHalfOpen: true, readableHighWaterMark: 4 * frameBytes, writableHighWaterMark: 4 * frameBytes });
    call.on('data', (frame: Frame) => this.receive(frame));
    call.on('error', (error: Error) => this.destroy(this.failure(error)));
    call.on('cancelled', () => this.destroy(unavailable('The other member gave up')));
    call.on('end', () => {
      if (!this.ended) this.destroy(unavailable('The other member went away'));
    });
    call.pause();
  }

  override _read(): void {
    this.call.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const send = (from: number): void => {
      if (from >= chunk.length) return done();
      this.call.write({ data: chunk.subarray(from, from + frameBytes) }, () => send(from + frameBytes));
    };
    send(0);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.call.write({ end: true }, () => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.finish();
    done(error);
  }

  private receive({ data, end }: Frame): void {
    if (data && data.length > 0 && !this.push(data)) this.call.pause();
    if (!end) return;
    this.ended = true;
    this.push(null);
  }
}
