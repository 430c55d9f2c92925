import { closeSync, mkdirSync, mkdtempSync, openSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBeneath, openPath } from './syscalls.js';

describe('openBeneath', () => {
  const top = mkdtempSync(join(tmpdir(), 'roost-beneath-'));
  const inside = join(top, 'inside');
  let directory = -1;

  beforeAll(() => {
    mkdirSync(join(inside, 'deep'), { recursive: true });
    writeFileSync(join(top, 'secret'), '');
    for (const [name, target] of [['out', '../secret'], ['absolute', join(inside, 'deep')], ['in', 'deep'], ['process', `/proc/${process.pid}/root`], ['loop', 'loop']] as const) symlinkSync(target, join(inside, name));
    directory = openSync(inside, 'r');
  });
  afterAll(() => {
    closeSync(directory);
    rmSync(top, { recursive: true });
  });

  const found = (path: string): string => {
    const fd = openBeneath(directory, path);
    const where = readlinkSync(`/proc/self/fd/${fd}`);
    closeSync(fd);
    return where;
  };

  it('finds what lies below, by links that stay there', () => {
    expect(found('.')).toBe(inside);
    expect(found('deep')).toBe(join(inside, 'deep'));
    expect(found('in')).toBe(join(inside, 'deep'));
    expect(found('deep/../in')).toBe(join(inside, 'deep'));
  });

  it.each([['out', 'EXDEV'], ['absolute', 'EXDEV'], ['process/etc', 'EXDEV'], ['..', 'EXDEV'], ['deep/../../secret', 'EXDEV'], ['/', 'EXDEV'], ['loop', 'ELOOP'], ['nothing', 'ENOENT']])('refuses %s', (path, code) => {
    expect(() => found(path)).toThrow(code);
  });

  it('finds by a whole path what other links lead to, but not those of /proc that stand for open files', () => {
    const fd = openPath(join(inside, 'absolute'));
    expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe(join(inside, 'deep'));
    closeSync(fd);
    for (const path of [join(inside, 'process'), `/proc/${process.pid}/root/etc`, `/proc/self/cwd`]) expect(() => openPath(path), path).toThrow('ELOOP');
  });

  it('refuses the links of /proc that stand for open files', () => {
    const proc = openSync('/proc', 'r');
    try {
      expect(() => openBeneath(proc, `${process.pid}/cwd`)).toThrow(/ELOOP|EXDEV/);
    } finally {
      closeSync(proc);
    }
  });
});
