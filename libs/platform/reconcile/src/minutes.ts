const minuteMs = 60_000;
/** After a pause (the machine slept, a run took long) no more than this is made up for. */
const mostMinutes = 5;

export interface PassedMinute {
  readonly at: Date;
  /** Nobody has looked at one before: a former process may have done what was due. */
  readonly first: boolean;
}

/** For work that is due at certain minutes: each is looked at once, also when a run comes late. What was due while no process ran is not made up for. */
export class Minutes {
  /** The last that was looked at, since the epoch. */
  private last: number | undefined;

  /** Those since the last call, oldest first. */
  passed(now: Date): PassedMinute[] {
    const current = minuteOf(now);
    const first = this.last === undefined;
    const from = Math.max((this.last ?? current - 1) + 1, current - mostMinutes + 1);
    this.last = current;
    return Array.from({ length: Math.max(0, current - from + 1) }, (_, index) => ({ at: new Date((from + index) * minuteMs), first }));
  }
}

/** Whether a time lies within the minute. */
export function isWithin(time: string, minute: Date): boolean {
  return minuteOf(new Date(time)) === minuteOf(minute);
}

function minuteOf(time: Date): number {
  return Math.floor(time.getTime() / minuteMs);
}
