import { Duplex } from 'node:stream';
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { unavailable } from '#kernel';
import { recycle } from '#platform/bytes';
import type { LaneListener, LaneReader } from './lane-reader.js';
import type { LaneWriter } from './lane-writer.js';
import type { Frame } from './protocol.js';

type Call = ClientDuplexStream<Frame, Frame> | ServerDuplexStream<Frame, Frame>;

const frameBytes = 256 * 1024;
/** How long the call may take to say why its lane is gone. */
const reasonMs = 1000;

/**
 * The bytes of a call as a stream: each side ends its own direction with a frame, since gRPC lets only the caller do so. Writes wait for the other side
 * to take them, reads stop the call when nobody reads. What the answering side sends may come over a lane, a connection of its own; the call then says how much that was.
 */
export class FrameStream extends Duplex {
  private ended = false;
  private writer: LaneWriter | undefined;
  private reader: LaneReader | undefined;
  /** Bytes to come over the lane in all, once known. */
  private expected: number | undefined;

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

  /** What is written goes out over a lane. */
  sendOver(writer: LaneWriter): void {
    this.writer = writer;
    writer.onLost((error) => {
      if (!this.writableFinished) this.destroy(error);
    });
  }

  /** What is read comes over a lane. Resolves when it is open. */
  async receiveOver(open: (listener: LaneListener) => Promise<LaneReader>): Promise<void> {
    // The call tells the end, and failures.
    this.call.resume();
    this.reader = await open({
      bytes: (part) => {
        const more = this.push(part);
        this.endWhenWhole();
        return more;
      },
      closed: () => {
        const look = (): void => {
          if (!this.isWhole()) this.destroy(unavailable('The other member went away'));
        };
        if (!this.isWhole()) setTimeout(look, reasonMs);
      },
    });
    if (this.destroyed) this.reader.destroy();
  }

  override _read(): void {
    this.call.resume();
    this.reader?.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.writer) return this.writer.write(chunk, done);
    const send = (from: number): void => {
      if (from >= chunk.length) {
        recycle(chunk);
        return done();
      }
      this.call.write({ data: chunk.subarray(from, from + frameBytes) }, () => send(from + frameBytes));
    };
    send(0);
  }

  override _final(done: (error?: Error | null) => void): void {
    const end = (sent: number): void => void this.call.write({ end: true, sent }, () => done());
    if (this.writer) this.writer.end().then(end, done);
    else end(0);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) this.writer?.destroy();
    this.reader?.destroy();
    this.finish();
    done(error);
  }

  private receive({ data, end, sent }: Frame): void {
    if (data && data.length > 0 && !this.push(data)) this.call.pause();
    if (!end) return;
    this.ended = true;
    if (this.reader === undefined) return void this.push(null);
    this.expected = sent ?? 0;
    this.endWhenWhole();
  }

  private endWhenWhole(): void {
    if (this.isWhole()) this.push(null);
  }

  private isWhole(): boolean {
    return this.reader !== undefined && this.reader.received === this.expected;
  }
}
