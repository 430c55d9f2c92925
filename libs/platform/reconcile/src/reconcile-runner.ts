import { Inject, Injectable, Optional, type OnModuleDestroy } from '@nestjs/common';
import { Clock, Logger, messageOf, SystemClock } from '#kernel';
import type { Reconciler } from './reconciler.js';

/** How the last finished run of a reconciler went, for the debug endpoint. */
export interface LastRun {
  readonly name: string;
  readonly running: boolean;
  /** Null until the first run has ended. */
  readonly startedAt: Date | null;
  readonly durationMs: number;
  readonly error: string | null;
}

class Entry {
  timer: NodeJS.Timeout | null = null;
  current: Promise<void> | null = null;
  /** A signal came while running: run once more, since what it announced may have been read too early. */
  again = false;
  startedAt: Date | null = null;
  durationMs = 0;
  error: string | null = null;

  constructor(readonly reconciler: Reconciler) {}
}

/**
 * Runs reconcilers by period and by signal, each one at a time. Signals that arrive during a run cause exactly one more.
 * Its timers never keep the process alive.
 */
@Injectable()
export class ReconcileRunner implements OnModuleDestroy {
  private readonly entries = new Map<string, Entry>();
  private readonly stopping = new AbortController();

  private readonly clock: Clock;

  constructor(@Inject(Logger) private readonly logger: Logger, @Optional() @Inject(Clock) clock?: Clock) {
    this.clock = clock ?? new SystemClock();
  }

  /** Starts the period; the first run comes at once unless `first` says how many milliseconds to wait. */
  add(reconciler: Reconciler, options: { readonly firstMs?: number } = {}): void {
    const entry = new Entry(reconciler);
    this.entries.set(reconciler.name, entry);
    this.plan(entry, options.firstMs ?? 0);
  }

  /** Run soon. Resolves when a run that started after this call has ended; never rejects. */
  async signal(name: string): Promise<void> {
    const entry = this.entries.get(name);
    if (!entry || this.stopping.signal.aborted) return;
    if (!entry.current) return this.start(entry);
    entry.again = true;
    await entry.current;
  }

  lastRuns(): LastRun[] {
    return [...this.entries.values()].map((entry) => ({
      name: entry.reconciler.name, running: entry.current !== null, startedAt: entry.startedAt, durationMs: entry.durationMs, error: entry.error,
    }));
  }

  /** No run starts after this; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.stopping.abort();
    for (const entry of this.entries.values()) clearTimeout(entry.timer ?? undefined);
    await Promise.all([...this.entries.values()].map((entry) => entry.current));
  }

  async onModuleDestroy(): Promise<void> {
    await this.stop();
  }

  private plan(entry: Entry, delayMs: number): void {
    if (this.stopping.signal.aborted) return;
    entry.timer = setTimeout(() => void this.start(entry), delayMs);
    entry.timer.unref();
  }

  private start(entry: Entry): Promise<void> {
    clearTimeout(entry.timer ?? undefined);
    entry.current ??= this.repeat(entry);
    return entry.current;
  }

  private async repeat(entry: Entry): Promise<void> {
    do {
      entry.again = false;
      await this.runOnce(entry);
    } while (entry.again && !this.stopping.signal.aborted);
    // In the same turn as the look at `again`, so that no signal falls between the two.
    entry.current = null;
    if (entry.reconciler.periodMs > 0) this.plan(entry, entry.reconciler.periodMs);
  }

  private async runOnce(entry: Entry): Promise<void> {
    const startedAt = this.clock.now();
    const begin = this.clock.monotonicMs();
    let error: string | null = null;
    try {
      await entry.reconciler.run(this.stopping.signal);
    } catch (thrown) {
      error = messageOf(thrown);
      if (error !== entry.error) this.logger.warn('Reconciler failed', { reconciler: entry.reconciler.name, err: error });
    }
    entry.startedAt = startedAt;
    entry.durationMs = this.clock.monotonicMs() - begin;
    entry.error = error;
  }
}
