import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeWhole } from './whole-files.js';

it('puts a whole file in the place of the former one, also past a write that was cut off', () => {
  const directory = mkdtempSync(join(tmpdir(), 'roost-whole-'));
  const path = `${directory}/note.json`;
  writeWhole(path, { a: 1 });
  writeFileSync(`${path}.new`, '{"a":');
  const before = statSync(path).ino;
  writeWhole(path, { a: 2 });

  expect([readFileSync(path, 'utf8'), readdirSync(directory), statSync(path).mode & 0o777]).toEqual(['{"a":2}', ['note.json'], 0o600]);
  expect(statSync(path).ino).not.toBe(before);
  rmSync(directory, { recursive: true });
});
