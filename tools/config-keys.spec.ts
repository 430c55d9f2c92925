import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const top = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(top, path), 'utf8');
const cells = (line: string): string[] => line.split('|').slice(1).map((cell) => cell.trim().replaceAll('`', ''));
const rows = read('docs/config-keys.md').split('\n').filter((line) => /^\| [\w-]+ \| `/.test(line)).map(cells);
/** `network-bridge ipv4.address`, from the reference that is made of the code. */
const declared = read('docs/configuration.md').split('\n## ').slice(1).flatMap((section) => {
  const of = section.split('\n', 1)[0]!;
  return section.split('\n').filter((line) => line.startsWith('| `')).map((line) => `${of} ${cells(line)[0]}`);
}).filter((row) => !/^(instance|device-\S+) /.test(row));

/** A file that does not so much as name a key shows nothing of it; some name `restricted.devices.$k`, and what it stands for. */
function names(text: string, key: string): boolean {
  if (key.endsWith('*')) return text.includes(key.slice(0, -1));
  const whole = (word: string): boolean => new RegExp(`(^|[^\\w.])${word.replaceAll('.', '\\.')}([^\\w.]|$)`, 'm').test(text);
  const last = key.lastIndexOf('.') + 1;
  return whole(key) || (text.includes(`${key.slice(0, last)}$`) && whole(key.slice(last)));
}

it('names every key of everything but instances and devices once, with its state', () => {
  expect(rows.map(([of, key]) => `${of} ${key}`).filter((row) => row !== 'cluster-member scheduler.instance').sort()).toEqual(declared.sort());
  for (const [of, key, state, shown, remarks] of rows) {
    expect(['works', 'untried', 'kept', 'refused'], `${of} ${key}`).toContain(state);
    expect(shown, `${of} ${key}`).not.toBe('');
    if (state !== 'works') expect(remarks, `${of} ${key}`).not.toBe('');
  }
});

it('refers to files that are there, of which those of a key that works name it', () => {
  for (const [of, key = '', state, shown = ''] of rows) {
    for (const file of shown.split(', ')) {
      expect(existsSync(join(top, file)), file).toBe(true);
      if (state === 'works') expect(names(read(file), key), `${of} ${key} in ${file}`).toBe(true);
    }
  }
});
