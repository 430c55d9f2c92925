import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readCached } from './cached-read.js';

it('reads what is in memory, its end too, and says when it cannot', () => {
  const folder = mkdtempSync(join(tmpdir(), 'roost-cached-'));
  writeFileSync(join(folder, 'file'), 'hello world');
  const fd = openSync(join(folder, 'file'), 'r');
  const into = Buffer.alloc(8);

  // A file system that cannot tell answers null, never something else.
  expect([5, null]).toContain(readCached(fd, into, 5, 6));
  if (readCached(fd, into, 5, 6) === 5) expect(into.toString('utf8', 0, 5)).toBe('world');
  expect([8, null]).toContain(readCached(fd, into, 100, 0));
  expect([0, null]).toContain(readCached(fd, into, 5, 11));
  closeSync(fd);
  expect(readCached(fd, into, 5, 0)).toBeNull();
  rmSync(folder, { recursive: true });
});
