import { createInterface, type Interface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { invalid } from '#kernel';

export const invalidInput = 'Invalid input, try again.';

/** Asks at a terminal until the answer passes; the empty answer is the default. */
export class Questions {
  private readonly lines: AsyncIterator<string>;
  private readonly terminal: Interface;
  private echoes = true;

  constructor() {
    // A terminal's own echo is off while there is a line editor; what the editor shows passes through here.
    const echo = new Writable({ write: (chunk, _encoding, done) => (this.echoes ? process.stdout.write(chunk as Buffer, () => done()) : done()) });
    this.terminal = createInterface({ input: process.stdin, output: echo, terminal: process.stdin.isTTY && process.stdout.isTTY });
    this.lines = this.terminal[Symbol.asyncIterator]();
  }

  close(): void {
    this.terminal.close();
  }

  /** Typed unseen; `again` asks for it twice. */
  async password(question: string, options: { readonly again?: boolean } = {}): Promise<string> {
    for (;;) {
      const first = await this.unseen(question);
      if (first !== '' && (options.again !== true || (await this.unseen('Again')) === first)) return first;
      process.stderr.write(`${invalidInput}\n\n`);
    }
  }

  private async unseen(question: string): Promise<string> {
    process.stdout.write(`${question}: `);
    this.echoes = false;
    const line = await this.lines.next();
    this.echoes = true;
    if (process.stdin.isTTY) process.stdout.write('\n');
    if (line.done) throw invalid('EOF');
    return line.value;
  }

  async text(question: string, fallback: string, check: (answer: string) => string | null = () => null): Promise<string> {
    for (;;) {
      process.stdout.write(`${question}${fallback === '' ? '' : ` [default=${fallback}]`}: `);
      const line = await this.lines.next();
      if (line.done) throw invalid('EOF');
      const answer = line.value.trim() || fallback;
      const problem = answer === '' ? invalidInput : check(answer);
      if (problem === null) return answer;
      if (problem.startsWith('Invalid input')) process.stderr.write(`${problem}\n\n`);
      else process.stdout.write(`${problem}\n`);
    }
  }

  async yes(question: string, fallback: boolean): Promise<boolean> {
    const answer = await this.text(`${question} (yes/no)`, fallback ? 'yes' : 'no', (given) =>
      ['yes', 'y', 'no', 'n'].includes(given.toLowerCase()) ? null : invalidInput);
    return answer.toLowerCase().startsWith('y');
  }

  /** One that may stay empty. */
  async optional(question: string): Promise<string> {
    process.stdout.write(`${question}: `);
    const line = await this.lines.next();
    if (line.done) throw invalid('EOF');
    return line.value.trim();
  }

  /** One whose text is complete; anything but yes means no. */
  async plainYes(question: string): Promise<boolean> {
    process.stdout.write(question);
    const line = await this.lines.next();
    if (line.done) throw invalid('EOF');
    return ['yes', 'y'].includes(line.value.trim().toLowerCase());
  }
}
