import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { KeyedMutex, Mutex } from './mutex.js';

it('lets one in at a time, in order, also after one that failed', async () => {
  const mutex = new Mutex();
  const seen: string[] = [];
  const work = (name: string, ms: number) => mutex.run(async () => { seen.push(`${name}+`); await sleep(ms); seen.push(`${name}-`); });

  await Promise.all([work('a', 20), mutex.run(() => { throw new TypeError('b'); }).catch((error: Error) => seen.push(error.message)), work('c', 1)]);

  expect(seen).toEqual(['a+', 'a-', 'b', 'c+', 'c-']);
});

it('holds up only those with the same key, and forgets keys nobody uses', async () => {
  const mutex = new KeyedMutex();
  const gate = Promise.withResolvers<void>();
  const seen: string[] = [];
  const first = mutex.run('x', () => gate.promise);
  const second = mutex.run('x', () => { seen.push('x'); });

  await mutex.run('y', () => { seen.push('y'); });
  gate.resolve();
  await Promise.all([first, second]);

  expect(seen).toEqual(['y', 'x']);
  expect(mutex).toMatchObject({ held: new Map() });
});
