import { unavailable } from '#kernel';
import { longestAnswer, type ExchangeAnswer } from './exchange.js';

type Framing = 'head' | 'length' | 'chunk-size' | 'chunk' | 'trailer' | 'until-end' | 'done';

const longestHead = 64 * 1024;
const nothing = Buffer.alloc(0);

/** Reads one answer of HTTP/1.1 off the bytes of a connection, as they come. Throws `unavailable` for what is none. */
export class HttpAnswerReader {
  private framing: Framing = 'head';
  private rest: Buffer = nothing;
  private readonly parts: Buffer[] = [];
  private size = 0;
  /** Bytes that the body, or the chunk at hand, still has. */
  private left = 0;
  private status = 0;
  private headers: Record<string, string> = {};

  constructor(private readonly method: string) {}

  get done(): boolean { return this.framing === 'done'; }

  /** Takes what came. True when the answer is whole. */
  push(data: Buffer): boolean {
    this.rest = this.rest.length === 0 ? data : Buffer.concat([this.rest, data]);
    while (!this.done && this.step());
    return this.done;
  }

  /** The connection has ended. Throws unless the answer may end with it. */
  end(): void {
    if (this.framing === 'until-end') this.framing = 'done';
    if (!this.done) throw unavailable(this.status === 0 && this.rest.length === 0 ? 'EOF' : 'unexpected EOF');
  }

  /** The whole answer. */
  get answer(): ExchangeAnswer {
    return { status: this.status, headers: this.headers, text: (this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts)).toString('utf8') };
  }

  /** Reads one piece of what is there. False when more has to come first. */
  private step(): boolean {
    switch (this.framing) {
      case 'head': return this.readHead();
      case 'chunk-size': return this.readChunkSize();
      case 'trailer': return this.readTrailer();
      default: return this.readBody();
    }
  }

  private readHead(): boolean {
    const end = this.rest.indexOf('\r\n\r\n');
    if (end > longestHead || (end < 0 && this.rest.length > longestHead)) throw unavailable('net/http: server response headers exceeded their limit');
    if (end < 0) return this.mayBeHttp();
    const [first = '', ...lines] = this.rest.toString('latin1', 0, end).split('\r\n');
    const match = /^HTTP\/1\.[01] ([1-9]\d\d)(?: |$)/.exec(first);
    if (match === null) throw malformed(first);
    this.rest = this.rest.subarray(end + 4);
    // What the server says before it answers: "continue" and the like.
    if (match[1]!.startsWith('1')) return true;
    this.status = Number(match[1]);
    this.headers = Object.fromEntries(lines.map((line) => headerOf(line)));
    this.chooseFraming();
    return true;
  }

  private mayBeHttp(): boolean {
    const start = this.rest.toString('latin1', 0, 7);
    if (!'HTTP/1.'.startsWith(start)) throw malformed(this.rest.toString('latin1', 0, 60).split('\r\n')[0]!);
    return false;
  }

  private chooseFraming(): void {
    const { 'transfer-encoding': encoding, 'content-length': length } = this.headers;
    if (this.method === 'HEAD' || this.status === 204 || this.status === 304) this.framing = 'done';
    else if (encoding !== undefined) {
      if (encoding.toLowerCase() !== 'chunked') throw unavailable(`unsupported transfer encoding: ${JSON.stringify(encoding)}`);
      this.framing = 'chunk-size';
    } else if (length === undefined) {
      this.framing = 'until-end';
      this.left = Infinity;
    } else {
      if (!/^\d{1,15}$/.test(length)) throw unavailable(`bad Content-Length ${JSON.stringify(length)}`);
      this.left = Number(length);
      this.framing = this.left === 0 ? 'done' : 'length';
    }
  }

  private readBody(): boolean {
    if (this.rest.length === 0) return false;
    const taken = this.rest.subarray(0, Math.min(this.left, this.rest.length));
    this.rest = this.rest.subarray(taken.length);
    this.left -= taken.length;
    this.size += taken.length;
    if (this.size > longestAnswer) throw unavailable(`The answer is longer than ${longestAnswer} bytes`);
    this.parts.push(taken);
    if (this.left === 0) this.framing = this.framing === 'length' ? 'done' : 'chunk-size';
    return true;
  }

  private readChunkSize(): boolean {
    // A line end closes the chunk before this one.
    if (this.size > 0 && this.rest.length < 2) return false;
    const start = this.size > 0 ? 2 : 0;
    if (start === 2 && this.rest.toString('latin1', 0, 2) !== '\r\n') throw unavailable('malformed chunked encoding');
    const end = this.rest.indexOf('\r\n', start);
    if (end < 0 && this.rest.length > 1024) throw unavailable('malformed chunked encoding');
    if (end < 0) return false;
    const digits = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(this.rest.toString('latin1', start, end));
    if (digits === null) throw unavailable('malformed chunked encoding');
    this.rest = this.rest.subarray(end + 2);
    this.left = Number.parseInt(digits[1]!, 16);
    this.framing = this.left === 0 ? 'trailer' : 'chunk';
    return true;
  }

  /** Lines after the last chunk, of which nothing is wanted, up to an empty one. */
  private readTrailer(): boolean {
    const end = this.rest.indexOf('\r\n');
    if (end < 0 && this.rest.length > longestHead) throw unavailable('malformed chunked encoding');
    if (end < 0) return false;
    this.rest = this.rest.subarray(end + 2);
    if (end === 0) this.framing = 'done';
    return true;
  }
}

function headerOf(line: string): [string, string] {
  const colon = line.indexOf(':');
  if (colon <= 0) throw unavailable(`malformed MIME header line: ${line.slice(0, 60)}`);
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

function malformed(line: string): Error {
  return unavailable(`malformed HTTP response ${JSON.stringify(line.slice(0, 60))}`);
}
