import type { Interface } from 'node:readline/promises';
import { invalid } from '#kernel';

export const invalidInput = 'Invalid input, try again.';

/** Asks at a terminal until the answer passes; the empty answer is the default. */
export class Questions {
  private readonly lines: AsyncIterator<string>;

  constructor(terminal: Interface) {
    this.lines = terminal[Symbol.asyncIterator]();
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
