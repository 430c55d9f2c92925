import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';

/** Where a program is, if it is in the path. */
export function findProgram(name: string): string | undefined {
  for (const directory of (process.env['PATH'] ?? '').split(':')) {
    try {
      accessSync(`${directory}/${name}`, constants.X_OK);
      return `${directory}/${name}`;
    } catch {
      // Not there.
    }
  }
  return undefined;
}

/** Runs a program that has the terminal for itself, and returns its exit code. */
export function runInForeground(program: string, words: readonly string[]): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const ignore = (): void => undefined;
  process.on('SIGINT', ignore);
  const child = spawn(program, words, { stdio: 'inherit' });
  child.once('error', reject);
  child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  return promise.finally(() => process.off('SIGINT', ignore));
}

/** Starts a program whose input and output are ours. */
export function start(program: string, words: readonly string[], options: { readonly stderr?: 'inherit' | 'ignore' } = {}): ChildProcess {
  return spawn(program, words, { stdio: ['pipe', 'pipe', options.stderr ?? 'inherit'] });
}
