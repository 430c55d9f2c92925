import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/**
 * Carries what is read from one path to another, as a daemon carries it between the agent's pipes: when this resolves both are open, so that the agent may let go
 * of its own ends. `done` is over with the bytes.
 */
export async function carry(from: string, to: string): Promise<{ readonly done: Promise<void> }> {
  const [source, target] = [createReadStream(from), createWriteStream(to)];
  const done = pipeline(source, target);
  // Who waits for it hears of a failure.
  done.catch(() => undefined);
  await Promise.all([once(source, 'open'), once(target, 'open')]);
  return { done };
}
