import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** Writes what a restart has to know: whoever reads it, whenever we are killed, finds all of it or what was there before. */
export function writeWhole(path: string, value: unknown): void {
  // One that was cut off may have been anybody's to read.
  rmSync(`${path}.new`, { force: true });
  writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
