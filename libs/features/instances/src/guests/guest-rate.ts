/** Requests a second that one instance may make for as long as it likes, and how many at once after a rest. */
const ratePerSecond = 100;
const burst = 200;
/** An instance that was quiet for this long starts afresh, milliseconds. */
const forgottenAfterMs = 60_000;

interface Bucket {
  tokens: number;
  at: number;
}

/** Says how long the next request of an instance has to wait, so that no instance takes the daemon's time from the others. */
export class GuestRate {
  private readonly buckets = new Map<string, Bucket>();
  private cleaned = 0;

  /** Milliseconds; 0 for at once. `now` is monotonic. */
  delay(name: string, now: number): number {
    this.forget(now);
    const known = this.buckets.get(name) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, known.tokens + ((now - known.at) * ratePerSecond) / 1000) - 1;
    this.buckets.set(name, { tokens, at: now });
    return tokens >= 0 ? 0 : (-tokens * 1000) / ratePerSecond;
  }

  private forget(now: number): void {
    if (now - this.cleaned < forgottenAfterMs) return;
    this.cleaned = now;
    for (const [name, { at }] of this.buckets) if (now - at > forgottenAfterMs) this.buckets.delete(name);
  }
}
