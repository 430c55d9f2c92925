/** Wall clock and timers, injected so that tests and replicated code decide what time it is. */
export abstract class Clock {
  abstract now(): Date;
  /** Milliseconds that never go back; for durations only. */
  abstract monotonicMs(): number;
}

/** A moment in the future by the monotonic clock. By the wall clock a wait would last for as long as that was put back. */
export class Deadline {
  private readonly at: number;

  /** @param ms from now; Infinity never passes. */
  constructor(ms: number) {
    this.at = performance.now() + ms;
  }

  get passed(): boolean {
    return performance.now() >= this.at;
  }

  /** Milliseconds, never negative. */
  get leftMs(): number {
    return Math.max(0, this.at - performance.now());
  }
}

export class SystemClock extends Clock {
  override now(): Date {
    return new Date();
  }

  override monotonicMs(): number {
    return performance.now();
  }
}
