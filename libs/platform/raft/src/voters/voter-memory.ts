/** How long a member is not asked again that failed to start a voter. */
const defaultFailingMs = 60_000;
/** A member whose removal was begun and given up may vote again after this long. */
const leavingMs = 300_000;

/** What the member that leads remembers of members and learners, by the monotonic clock; gone with the lead or with the process, and no harm done. */
export class VoterMemory {
  private since = 0;
  private readonly leaving = new Map<number, number>();
  private readonly failedAt = new Map<number, number>();
  private readonly learnerSince = new Map<string, number>();

  constructor(private readonly failingMs = defaultFailingMs) {}

  begin(): void {
    this.since = performance.now();
    for (const state of [this.leaving, this.failedAt, this.learnerSince]) state.clear();
  }

  /** Since `begin`. */
  get ageMs(): number {
    return performance.now() - this.since;
  }

  noteLeaving(memberId: number): void {
    this.leaving.set(memberId, performance.now());
  }

  isLeaving(memberId: number): boolean {
    return within(this.leaving.get(memberId), leavingMs);
  }

  noteFailed(memberId: number): void {
    this.failedAt.set(memberId, performance.now());
  }

  isFailing(memberId: number): boolean {
    return within(this.failedAt.get(memberId), this.failingMs);
  }

  /** Known as a learner from now on, unless it was. Returns for how long it has been one. */
  noteLearner(etcdId: string): number {
    const since = this.learnerSince.get(etcdId) ?? performance.now();
    this.learnerSince.set(etcdId, since);
    return performance.now() - since;
  }

  /** True when it was one. */
  forgetLearner(etcdId: string): boolean {
    return this.learnerSince.delete(etcdId);
  }

  /** Another member leads: what was seen of learners may not hold any more. */
  forgetLearners(): void {
    this.learnerSince.clear();
  }
}

function within(at: number | undefined, ms: number): boolean {
  return at !== undefined && performance.now() - at < ms;
}
