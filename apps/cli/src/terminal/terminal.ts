import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { invalid } from '#kernel';

/** The streams a command talks to. */
export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/**
 * What a command reads from and writes to: the streams of this process, unless others are given. Those are made when a command needs one as a stream; what
 * most print is a text, which goes to the descriptor at once.
 */
export class Terminal {
  private lines: AsyncIterator<string> | undefined;
  private readonly opened = new Set<keyof Streams>();

  constructor(private readonly given?: Streams) {}

  get stdin(): NodeJS.ReadStream { return this.given?.stdin ?? process.stdin; }
  get stdout(): NodeJS.WriteStream { return this.open('stdout'); }
  get stderr(): NodeJS.WriteStream { return this.open('stderr'); }

  out(text: string | Uint8Array): void { this.write('stdout', 1, text); }

  err(text: string): void { this.write('stderr', 2, text); }

  get inputIsTerminal(): boolean { return this.given === undefined ? isatty(0) : this.given.stdin.isTTY; }
  get outputIsTerminal(): boolean { return this.given === undefined ? isatty(1) : this.given.stdout.isTTY; }
  get errorIsTerminal(): boolean { return this.given === undefined ? isatty(2) : this.given.stderr.isTTY; }

  /** Once what was written to streams has left. */
  async flushed(): Promise<void> {
    for (const name of ['stdout', 'stderr'] as const) {
      if (!this.opened.has(name)) continue;
      const stream = this[name];
      if (stream.writableLength > 0) await new Promise<void>((resolve) => { stream.write('', () => resolve()); });
    }
  }

  private open(name: 'stdout' | 'stderr'): NodeJS.WriteStream {
    const stream = this.given?.[name] ?? process[name];
    if (this.opened.has(name)) return stream;
    this.opened.add(name);
    stream.on('error', (error: NodeJS.ErrnoException) => { if (error.code === 'EPIPE') process.exit(0); });
    return stream;
  }

  private write(name: 'stdout' | 'stderr', descriptor: number, text: string | Uint8Array): void {
    if (this.given !== undefined || this.opened.has(name)) return void this.open(name).write(text);
    let left = typeof text === 'string' ? Buffer.from(text) : text;
    try {
      while (left.length > 0) left = left.subarray(writeSync(descriptor, left));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Whoever reads has gone; it is no mistake of this command's.
      if (code === 'EPIPE') process.exit(0);
      // A pipe somebody made non-blocking is full: a stream waits for it.
      if (code !== 'EAGAIN') throw error;
      this.open(name).write(left);
    }
  }

  get columns(): number { return this.stdout.columns ?? this.stderr.columns ?? 80; }
  get rows(): number { return this.stdout.rows ?? 24; }

  /** Colours and other attributes, unless somebody does not want them. */
  get colours(): boolean { return this.outputIsTerminal && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'; }

  /** All of standard input. */
  async readAll(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.stdin as AsyncIterable<Buffer | string>) parts.push(Buffer.from(part));
    return Buffer.concat(parts);
  }

  /** One line of input; `invalid` ("EOF") where there is none left. */
  async ask(question: string): Promise<string> {
    this.out(question);
    if (this.lines === undefined) {
      const { createInterface } = await import('node:readline');
      this.lines ??= createInterface({ input: this.stdin, terminal: false })[Symbol.asyncIterator]();
    }
    // What was released before an editor ran is wanted again.
    this.stdin.resume();
    (this.stdin as { ref?: () => void }).ref?.();
    const { value, done } = await this.lines.next();
    if (done === true) throw invalid('EOF');
    return value;
  }

  /** A line that is not shown while it is typed. */
  async askSecret(question: string): Promise<string> {
    if (!this.inputIsTerminal) return this.ask(question);
    this.out(question);
    const { stdin } = this;
    stdin.setRawMode(true);
    stdin.resume();
    let typed = '';
    try {
      for await (const chunk of stdin.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        for (const letter of chunk.toString('utf8')) {
          if (letter === '\r' || letter === '\n') return typed;
          if (letter === '\x03') throw invalid('Interrupted');
          if (letter === '\x04' && typed === '') throw invalid('EOF');
          typed = letter === '\x7f' || letter === '\b' ? typed.slice(0, -1) : typed + letter;
        }
      }
      return typed;
    } finally {
      stdin.setRawMode(false);
      stdin.pause();
      this.out('\n');
    }
  }

  /** Lets the process end although input was read. */
  release(): void {
    this.stdin.pause();
    (this.stdin as { unref?: () => void }).unref?.();
  }
}
