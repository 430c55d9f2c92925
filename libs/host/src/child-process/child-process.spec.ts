import { closeSync, openSync, readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChild } from './child-process.js';

const env = { PATH: '/usr/bin:/bin' };
let directory: string;
beforeAll(() => { directory = mkdtempSync(join(tmpdir(), 'roost-child-')); });
afterAll(() => rmSync(directory, { recursive: true }));

describe('startChild', () => {
  it('crosses descriptors over', async () => {
    const files = [3, 4].map((name) => openSync(join(directory, `${name}`), 'w'));
    const [first = -1, second = -1] = files;
    const stdio = Array.from({ length: Math.max(first, second) + 1 }, (_, fd) => (fd === first ? second : fd === second ? first : 'ignore' as const));

    const child = startChild({ argv: ['sh', '-c', `echo one >/proc/self/fd/${first}; echo two >/proc/self/fd/${second}`], env, stdio });

    expect(await child.exited).toEqual({ exitCode: 0, signal: null });
    files.forEach((fd) => closeSync(fd));
    expect([3, 4].map((name) => readFileSync(join(directory, `${name}`), 'utf8'))).toEqual(['two\n', 'one\n']);
  });

  it('gives the child default signals, its own session and no other descriptors', async () => {
    const held = openSync('/dev/null', 'r');
    const out = openSync(join(directory, 'status'), 'w');

    const child = startChild({ argv: ['cat', '/proc/self/status', '/proc/self/stat'], env, stdio: ['ignore', out, 'ignore'] });
    await child.exited;
    closeSync(out);
    const text = readFileSync(join(directory, 'status'), 'utf8');

    expect(text).toMatch(/^SigBlk:\s+0+$/m);
    // 32 and 33 belong to the C library.
    expect(Number.parseInt(/^SigIgn:\s+(\w+)$/m.exec(text)?.[1] ?? '', 16) % 2 ** 31).toBe(0);
    expect(text.split('\n').at(-2)?.split(' ').slice(4, 6)).toEqual([`${child.pid}`, `${child.pid}`]);
    const list = startChild({ argv: ['sh', '-c', `test ! -e /proc/self/fd/${held}`], env, stdio: [] });
    expect(await list.exited).toEqual({ exitCode: 0, signal: null });
    closeSync(held);
  });

  it('tells the signal that ended a child', async () => {
    const child = startChild({ argv: ['sh', '-c', 'kill -KILL $$'], env, stdio: [] });

    expect(await child.exited).toEqual({ exitCode: null, signal: 'SIGKILL' });
  });

  it('refuses a program or a directory that is not there', () => {
    expect(() => startChild({ argv: ['no-such-program'], env, stdio: [] })).toThrow(/no-such-program/);
    expect(() => startChild({ argv: ['true'], env, stdio: [], cwd: join(directory, 'none') })).toThrow(/ENOENT/);
  });
});
