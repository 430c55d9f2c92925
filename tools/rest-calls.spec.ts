import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { restCalls } from '../test/conformance/rest-calls.js';

const top = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(top, path), 'utf8');
const rowsOf = (text: string): string[][] => text.split('\n').filter((line) => line.startsWith('| `')).map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));
const list = read('docs/rest-calls.md');
const rows = rowsOf(list);
/** Names of parts do not matter. */
const shape = (path = ''): string => path.replace(/:\w+|\{\w+\}/g, '*');

it('names every call of LXD 5.0.2 once, with what shows that it works', () => {
  expect(rows.map(([, path, method]) => `${method} ${path}`)).toEqual(restCalls.map(({ method, path }) => `${method} ${path}`));
  for (const [, path, method, state, shown, remarks] of rows) {
    expect(['works', 'gap'], `${method} ${path}`).toContain(state);
    expect(shown, `${method} ${path}`).not.toBe('');
    if (state === 'gap') expect(remarks, `${method} ${path}`).not.toBe('');
  }
});

it('says that a call works only where there is a route for it', () => {
  // Websockets and other protocols have no route of their own.
  const upgraded = ['GET /1.0/events', 'GET /1.0/instances/*/sftp'];
  const routes = new Set([...rowsOf(read('docs/routes.md')).map(([, path, method]) => `${method} ${shape(path)}`), ...upgraded]);
  const working = rows.filter(([, , , state]) => state === 'works').map(([, path, method]) => `${method} ${shape(path)}`);
  expect(working.filter((call) => !routes.has(call))).toEqual([]);
});

it('refers to files that are there', () => {
  const files = new Set(list.match(/(libs|test|tools)\/[\w./-]+\.ts/g));
  expect(files.size).toBeGreaterThan(10);
  expect([...files].filter((file) => !existsSync(join(top, file)))).toEqual([]);
});
