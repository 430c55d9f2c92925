import { createInterface } from 'node:readline/promises';

/** Asks on the terminal; only `yes` is yes. */
export async function confirmed(text: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await terminal.question(text)).trim().toLowerCase() === 'yes';
  } finally {
    terminal.close();
  }
}
