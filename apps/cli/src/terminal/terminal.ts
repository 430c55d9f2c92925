import { createInterface } from 'node:readline';
import { invalid } from '#kernel';

/** The streams a command talks to. */
export class Terminal {
  /** Output went to somebody who has stopped reading. */
  broken = false;
  private lines: AsyncIterator<string> | undefined;

  constructor(readonly stdin = process.stdin, readonly stdout = process.stdout, readonly stderr = process.stderr) {
    stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
    });
  }

  out(text: string | Uint8Array): void { this.stdout.write(text); }

  err(text: string): void { this.stderr.write(text); }

  get inputIsTerminal(): boolean { return this.stdin.isTTY === true; }
  get outputIsTerminal(): boolean { return this.stdout.isTTY === true; }
  get errorIsTerminal(): boolean { return this.stderr.isTTY === true; }

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
    const interface_ = createInterface({ input: this.stdin, terminal: false });
    this.lines ??= interface_[Symbol.asyncIterator]();
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
