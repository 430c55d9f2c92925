import { AppError, messageOf, unavailable, type Logger } from '#kernel';

export type QuorumState = 'ok' | 'waiting' | 'lost';

/** Without any answer for this long, the majority counts as lost (an election takes up to two seconds). With the probe's period it is known within 5 s. */
const lostAfterMs = 3500;
const probeMs = 1000;
const probeTimeoutMs = 900;

/**
 * Whether a majority of voters answers. Fed by every call to the log and by a probe of its own, so that a loss is established within five seconds
 * also while nobody asks, and its end is noticed while everybody is refused at once.
 */
export class QuorumMonitor {
  private current: QuorumState = 'ok';
  private lastSeen = performance.now();
  private waiting = new AbortController();
  private fenced: string | null = null;
  private timer: NodeJS.Timeout | undefined;
  private readonly listeners = new Set<(state: QuorumState) => void>();

  constructor(private readonly logger: Logger) {}

  get state(): QuorumState {
    return this.current;
  }

  /** Aborts when the loss is established: whoever waits for an answer need not wait longer. */
  get lostSignal(): AbortSignal {
    return this.waiting.signal;
  }

  /** `probe`: one linearizable read, with this many milliseconds of patience. */
  start(probe: (timeoutMs: number) => Promise<unknown>): void {
    this.stop();
    this.lastSeen = performance.now();
    const round = async (): Promise<void> => {
      try {
        await probe(probeTimeoutMs);
        this.seen();
      } catch (error) {
        this.missed(error);
      }
      this.timer = setTimeout(() => void round(), probeMs);
      this.timer.unref();
    };
    this.timer = setTimeout(() => void round(), 0);
    this.timer.unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  onChange(listener: (state: QuorumState) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** For good: this history was left behind, and whatever answers in it decides nothing (hazards A3). `reason` is what writers are told. */
  fence(reason: string): void {
    this.fenced = reason;
    this.move('lost', reason);
  }

  seen(): void {
    if (this.fenced !== null) return;
    this.lastSeen = performance.now();
    this.move('ok');
  }

  missed(error: unknown): void {
    // A refusal is an answer of a majority, too.
    if (AppError.is(error, 'precondition')) return;
    this.move(performance.now() - this.lastSeen >= lostAfterMs ? 'lost' : 'waiting', error);
  }

  /** @throws `unavailable` once the loss is established. */
  assertNotLost(): void {
    if (this.fenced !== null) throw unavailable(this.fenced, { details: { reason: 'left-behind' } });
    if (this.current === 'lost') throw unavailable('The cluster has no quorum: nothing can be changed until a majority of its database members is back', { details: { reason: 'quorum' } });
  }

  private move(next: QuorumState, error?: unknown): void {
    if (next === this.current) return;
    // Established means established: a probe has to succeed first.
    if (this.current === 'lost' && next === 'waiting') return;
    this.current = next;
    if (next === 'lost') this.logger.error('The cluster has lost its quorum', { error: messageOf(error) });
    else if (next === 'ok') this.logger.info('A majority of the database members answers');
    if (next === 'lost') this.waiting.abort();
    else if (this.waiting.signal.aborted) this.waiting = new AbortController();
    for (const listener of this.listeners) listener(next);
  }
}
