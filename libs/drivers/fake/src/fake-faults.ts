import { internal } from '#kernel';

/**
 * Switches that make the fake host misbehave: fail the n-th call of a method, stall it until released, or run a hook before it
 * (to "kill" the daemon there). One instance is shared by all fake drivers of a host.
 */
export class FakeFaults {
  private readonly counts = new Map<string, number>();
  private readonly failures = new Map<string, { nth: number; error: Error }>();
  private readonly hooks = new Map<string, () => Promise<void>>();

  /** Makes the `nth` (from 1) call from now of `method`, for instance `storage.createVolume`, throw. */
  fail(method: string, nth = 1, error: Error = internal(`Injected failure of ${method}`)): void {
    this.counts.set(method, 0);
    this.failures.set(method, { nth, error });
  }

  /** Runs before every call of `method`; a promise that does not resolve stalls it. */
  before(method: string, hook: () => Promise<void>): void {
    this.hooks.set(method, hook);
  }

  clear(): void {
    this.counts.clear();
    this.failures.clear();
    this.hooks.clear();
  }

  /** Every fake method calls this first. */
  async enter(method: string): Promise<void> {
    const count = (this.counts.get(method) ?? 0) + 1;
    this.counts.set(method, count);
    await this.hooks.get(method)?.();
    const failure = this.failures.get(method);
    if (failure && failure.nth === count) {
      this.failures.delete(method);
      throw failure.error;
    }
  }

  callsOf(method: string): number {
    return this.counts.get(method) ?? 0;
  }
}
