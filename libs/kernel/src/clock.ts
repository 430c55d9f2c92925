/** Wall clock and timers, injected so that tests and replicated code decide what time it is. */
export abstract class Clock {
  abstract now(): Date;
  /** Milliseconds that never go back; for durations only. */
  abstract monotonicMs(): number;
}

export class SystemClock extends Clock {
  override now(): Date {
    return new Date();
  }

  override monotonicMs(): number {
    return performance.now();
  }
}
