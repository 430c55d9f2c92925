import { invalid } from '#kernel';

/** @throws `invalid` in LXD's words. */
export function checkBackupName(name: string): void {
  if (name.includes('/')) throw invalid('Backup names may not contain slashes');
  if (name === '') throw invalid('Backup names may not be empty');
}

/** `backup0`, or the one after the highest there is. */
export function nextBackupName(taken: readonly string[]): string {
  const numbers = taken.flatMap((name) => { const found = /^backup(\d+)$/.exec(name); return found ? [Number(found[1])] : []; });
  return `backup${Math.max(-1, ...numbers) + 1}`;
}
