import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Compiles the caller of the guest API into `directory/guest-call`, which a container may have as a disk. */
export function buildGuestCall(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  chmodSync(directory, 0o755);
  execFileSync('gcc', ['-O2', '-static', '-o', join(directory, 'guest-call'), join(import.meta.dirname, 'guest-call.c')]);
}
