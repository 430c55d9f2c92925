import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { deviceKeys } from '#config-schema';

const top = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(top, path), 'utf8');
const list = read('docs/device-keys.md');
const rows = list.split('\n').filter((line) => line.startsWith('| `')).map((line) => line.split('|').slice(1).map((cell) => cell.trim().replaceAll('`', '')));

it('names every option of every type of device once, with its state', () => {
  const declared = [...deviceKeys].flatMap(([type, { keys }]) => Object.keys(keys).map((option) => `${type} ${option}`));
  expect(rows.map(([type, option]) => `${type} ${option}`).sort()).toEqual(declared.sort());
  for (const [type, option, state, shown, remarks] of rows) {
    expect(['works', 'no effect', 'gap', 'refused'], `${type} ${option}`).toContain(state);
    expect(shown, `${type} ${option}`).not.toBe('');
    if (state === 'gap' || state === 'no effect') expect(remarks, `${type} ${option}`).not.toBe('');
  }
});

/** A file that does not so much as name an option shows nothing of it. */
it('refers to files that are there, of which those of an option that works name it', () => {
  for (const [type, option = '', state, shown = ''] of rows) {
    for (const file of shown.split(', ')) {
      expect(existsSync(join(top, file)), file).toBe(true);
      if (state === 'works') expect(new RegExp(`(^|[^\\w.])${option.replaceAll('.', '\\.')}([^\\w.]|$)`, 'm').test(read(file)), `${type} ${option} in ${file}`).toBe(true);
    }
  }
});
