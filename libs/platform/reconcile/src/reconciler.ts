/**
 * State that must keep being true (leases, firewall rules, autostart, power state): made so again and again, not once.
 *
 * A reconciler takes no input. It reads what is wanted and what is there, and moves the second towards the first, so any run may be
 * skipped, repeated or cut short; a signal only brings the next run forward. It never runs twice at a time in one process.
 */
export abstract class Reconciler {
  abstract readonly name: string;
  /** Milliseconds from the end of one run to the start of the next; 0 = on signal only. */
  abstract readonly periodMs: number;
  /** Stop soon when `signal` aborts. Throwing is recorded and retried at the next period. */
  abstract run(signal: AbortSignal): Promise<void>;
}
