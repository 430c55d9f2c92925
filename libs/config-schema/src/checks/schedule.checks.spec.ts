import { describe, expect, it } from 'vitest';
import { isScheduledAt, isSnapshotSchedule, isVolumeSnapshotSchedule, scheduleHas } from './schedule.checks.js';

const subject = 1;
const at = (text: string): Date => new Date(`${text}:30`);
const due = (schedule: string, times: readonly string[]): string[] => times.filter((time) => isScheduledAt(schedule, at(time), subject));

describe('a schedule', () => {
  it.each([
    ['* * * * *', ['2026-01-01T00:00', '2026-06-15T13:37'], ['2026-01-01T00:00', '2026-06-15T13:37']],
    ['5,10 6 * * *', ['2026-01-01T06:05', '2026-01-01T06:10', '2026-01-01T06:06', '2026-01-01T07:05'], ['2026-01-01T06:05', '2026-01-01T06:10']],
    ['*/15 1-3 * * *', ['2026-01-01T01:45', '2026-01-01T03:00', '2026-01-01T04:00', '2026-01-01T01:10'], ['2026-01-01T01:45', '2026-01-01T03:00']],
    ['40/5 * * * *', ['2026-01-01T01:45', '2026-01-01T01:35', '2026-01-01T01:40'], ['2026-01-01T01:45', '2026-01-01T01:40']],
    ['0 0 * jan sun', ['2026-01-04T00:00', '2026-01-05T00:00', '2026-02-01T00:00'], ['2026-01-04T00:00']],
    ['0 0 13 * 5', ['2026-01-13T00:00', '2026-01-16T00:00', '2026-01-14T00:00'], ['2026-01-13T00:00', '2026-01-16T00:00']],
    ['0 0 ? * 5', ['2026-01-13T00:00', '2026-01-16T00:00'], ['2026-01-16T00:00']],
    ['0 6 * * *, 0 7 * * *', ['2026-01-01T06:00', '2026-01-01T07:00', '2026-01-01T08:00'], ['2026-01-01T06:00', '2026-01-01T07:00']],
    ['0 0 31 2 *', ['2026-02-28T00:00', '2026-03-31T00:00'], []],
    ['@never', ['2026-01-01T00:00'], []],
    ['@startup', ['2026-01-01T00:00'], []],
  ])('of %s', (schedule, times, expected) => {
    isSnapshotSchedule(schedule);
    expect(due(schedule, times)).toEqual(expected);
  });

  it.each([['@hourly', 366 * 24], ['@daily', 366], ['@midnight', 366], ['@weekly', 52], ['@monthly', 12], ['@annually', 1], ['@yearly', 1]])('of %s comes as often as it says', (alias, times) => {
    for (const id of [1, 42]) {
      let found = 0;
      for (const time = new Date('2028-01-01T00:00:00'); time.getFullYear() === 2028; time.setMinutes(time.getMinutes() + 1)) if (isScheduledAt(alias, time, id)) found++;
      expect(found >= times && found <= times + 1, `${found} of ${times}`).toBe(true);
    }
  });

  it('of an alias falls on another time for another subject, always the same', () => {
    const minutes = (id: number): string => Array.from({ length: 24 * 60 }, (_, minute) => new Date(2026, 0, 1, 0, minute)).filter((time) => isScheduledAt('@daily', time, id)).join();

    expect(new Set([1, 2, 3, 4, 5].map(minutes)).size).toBe(5);
    expect(minutes(7)).toBe(minutes(7));
  });

  it('of a volume names times only, in whatever case', () => {
    for (const schedule of ['@daily', '@DAILY, @Weekly', '5 * * * *']) isVolumeSnapshotSchedule(schedule);
    for (const schedule of ['@startup', '@never', '@hourly, @startup']) expect(() => isVolumeSnapshotSchedule(schedule), schedule).toThrow('Schedule must be of the form');
  });

  it('may name the start', () => {
    expect(['@startup', '@daily, @startup', '@daily'].map((schedule) => scheduleHas(schedule, '@startup'))).toEqual([true, true, false]);
  });
});
