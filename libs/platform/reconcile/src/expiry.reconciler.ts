import { messageOf, type Logger } from '#kernel';
import { Reconciler } from './reconciler.js';

/** Removes what is there until a time that has come. What cannot go now is tried again with the next run. */
export abstract class ExpiryReconciler<Subject> extends Reconciler {
  override readonly periodMs = 60_000;

  /** @param what for the log: `snapshot`. */
  protected constructor(
    private readonly what: string,
    private readonly logger: Logger,
  ) {
    super();
  }

  /** This member's whose time was over at `now`, an ISO time. */
  protected abstract expired(now: string): readonly Subject[];
  /** Resolves when it is gone. */
  protected abstract remove(subject: Subject): Promise<void>;
  /** Its name and its owner's, for the log. */
  protected abstract describe(subject: Subject): Readonly<Record<string, string>>;

  override async run(signal: AbortSignal): Promise<void> {
    for (const subject of this.expired(new Date().toISOString())) {
      if (signal.aborted) return;
      try {
        await this.remove(subject);
      } catch (error) {
        this.logger.warn(`Failed removing a ${this.what} whose time is over`, { ...this.describe(subject), error: messageOf(error) });
      }
    }
  }
}
