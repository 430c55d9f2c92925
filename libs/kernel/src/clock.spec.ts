import { afterEach, expect, it, vi } from 'vitest';
import { Deadline } from './clock.js';

afterEach(() => { vi.useRealTimers(); });

it('passes however the wall clock is set', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const deadline = new Deadline(1000);
  vi.setSystemTime(0);

  expect([deadline.passed, deadline.leftMs]).toEqual([false, 1000]);

  vi.advanceTimersByTime(400);
  vi.setSystemTime(new Date('2100-01-01'));

  expect([deadline.passed, deadline.leftMs]).toEqual([false, 600]);

  vi.advanceTimersByTime(600);

  expect([deadline.passed, deadline.leftMs, new Deadline(Infinity).passed]).toEqual([true, 0, false]);
});
