import { Clock } from '#kernel';
import { Minutes } from './minutes.js';
import { Reconciler } from './reconciler.js';

/**
 * Does what is due at certain minutes. Every minute is looked at once, also when a run comes late; what was due while no daemon ran is not made up for, and what another
 * daemon did within the minute this one begins in is not done again.
 */
export abstract class ScheduledReconciler<Subject> extends Reconciler {
  override readonly periodMs = 5000;
  private readonly minutes = new Minutes();

  protected constructor(private readonly clock: Clock) {
    super();
  }

  protected abstract due(minute: Date): readonly Subject[];
  protected abstract wasDone(subject: Subject, minute: Date): boolean;
  /** Tells of its failures itself: the others are due all the same. */
  protected abstract do(subject: Subject): Promise<void>;

  override async run(signal: AbortSignal): Promise<void> {
    for (const { at, first } of this.minutes.passed(this.clock.now())) {
      for (const subject of this.due(at).filter((one) => !first || !this.wasDone(one, at))) {
        if (signal.aborted) return;
        await this.do(subject);
      }
    }
  }
}
