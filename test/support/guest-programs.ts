import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Compiles a program of this folder, linked statically, into `directory`, which a container may have as a disk. */
export function buildForGuests(directory: string, name: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  chmodSync(directory, 0o755);
  execFileSync('gcc', ['-O2', '-static', '-o', join(directory, name), join(import.meta.dirname, `${name}.c`)]);
}
