import { invalid } from '#kernel';
import type { Terminal } from './terminal.js';

/** Asks until the answer is one; an empty one means no. */
export async function confirmed(terminal: Terminal, question: string): Promise<boolean> {
  for (;;) {
    const answer = (await terminal.ask(question)).trim().toLowerCase();
    if (['yes', 'y'].includes(answer)) return true;
    if (['no', 'n', ''].includes(answer)) return false;
    terminal.err('Invalid input, try again.\n\n');
  }
}

/** As `confirmed`, for questions only a "yes" answers. Throws `invalid` with `refusal` for anything else. */
export async function mustConfirm(terminal: Terminal, question: string, refusal: string): Promise<void> {
  const answer = (await terminal.ask(question)).trim().toLowerCase();
  if (!['yes', 'y'].includes(answer)) throw invalid(refusal);
}
