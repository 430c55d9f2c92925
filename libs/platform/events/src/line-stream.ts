import type { Duplex } from 'node:stream';
import { internal, wrap } from '#kernel';

/** A line longer than this is no event, bytes. */
const maxLineBytes = 64 * 1024 * 1024;
/** A reader this far behind is cut off, bytes: what waits for it lies in memory. */
const maxBacklogBytes = 32 * 1024 * 1024;

/**
 * JSON texts over a stream of bytes, a line each. Lines written in one turn of the event loop leave together. A side that does not read
 * is cut off.
 */
export class LineStream {
  private corked = false;

  constructor(
    private readonly stream: Duplex,
    onLine: (line: string) => void,
  ) {
    const take = (line: string): void => {
      try {
        onLine(line);
      } catch (error) {
        stream.destroy(wrap(error, 'Cannot read the event stream'));
      }
    };
    let parts: Buffer[] = [];
    let pending = 0;
    stream.on('data', (chunk: Buffer) => {
      let start = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
        parts.push(chunk.subarray(start, end));
        take(Buffer.concat(parts).toString());
        parts = [];
        pending = 0;
        start = end + 1;
      }
      if (start === chunk.length) return;
      parts.push(chunk.subarray(start));
      pending += chunk.length - start;
      if (pending > maxLineBytes) stream.destroy(internal('A line of the event stream is too long'));
    });
  }

  write(json: string): void {
    const { stream } = this;
    if (!stream.writable) return;
    if (stream.writableLength > maxBacklogBytes) {
      stream.destroy(internal('The reader of the event stream does not keep up'));
      return;
    }
    if (!this.corked) {
      this.corked = true;
      stream.cork();
      process.nextTick(() => {
        this.corked = false;
        stream.uncork();
      });
    }
    stream.write(`${json}\n`);
  }
}
