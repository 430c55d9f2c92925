import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { instanceKeys } from '#config-schema';

const top = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(top, path), 'utf8');
const list = read('docs/instance-keys.md');
const rowsOf = (text: string): string[][] => text.split('\n').filter((line) => line.startsWith('| `')).map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));

it('names every key of instances once, with what shows that it works', () => {
  const [keys = ''] = list.split('## Calls');
  const rows = rowsOf(keys);
  const declared = [...Object.keys(instanceKeys.keys), ...Object.keys(instanceKeys.prefixes).map((prefix) => `${prefix}*`)];
  expect(rows.map(([, key]) => key).sort()).toEqual(declared.sort());
  for (const [, key, state, shown, remarks] of rows) {
    expect(['works', 'gap', 'refused'], key).toContain(state);
    expect(shown, key).not.toBe('');
    if (state === 'gap') expect(remarks, key).not.toBe('');
  }
});

it('names no call below /1.0/instances that is not served', () => {
  const served = rowsOf(read('docs/routes.md')).filter(([, path]) => path?.startsWith('/1.0/instances')).map(([, path, method]) => `${path} ${method}`);
  const named = rowsOf(list.split('## Calls')[1] ?? '').flatMap(([, path, methods]) => (methods ?? '').split(' ').map((method) => `${path} ${method}`));
  expect(named.length).toBeGreaterThan(25);
  expect(named.filter((call) => !served.includes(call))).toEqual([]);
});

it('refers to files that are there', () => {
  const files = new Set(list.match(/(libs|test|tools)\/[\w./-]+\.ts/g));
  expect(files.size).toBeGreaterThan(10);
  expect([...files].filter((file) => !existsSync(join(top, file)))).toEqual([]);
});
