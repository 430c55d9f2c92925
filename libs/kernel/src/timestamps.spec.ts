import { afterEach, expect, it, vi } from 'vitest';
import { preciseTimestamp } from './timestamps.js';

afterEach(() => { vi.restoreAllMocks(); });

it('is the wall clock to the microsecond, and does not go back', () => {
  const before = Date.now();
  const times = Array.from({ length: 1000 }, preciseTimestamp);

  expect(times[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  expect(Date.parse(times[0]!)).toBeGreaterThanOrEqual(before);
  expect(Date.parse(times.at(-1)!)).toBeLessThanOrEqual(Date.now() + 2);
  expect([...times].sort()).toEqual(times);
  expect(new Set(times).size).toBeGreaterThan(2);
});

it('follows a wall clock that is set', () => {
  const real = Date.now();
  vi.spyOn(Date, 'now').mockReturnValue(real + 3_600_000);

  expect(Date.parse(preciseTimestamp())).toBe(real + 3_600_000);
});
