import { isFinalStatus, operationStatusCodes, type Operation, type OperationClass, type OperationStatus } from '#api-types';
import type { Requestor } from '#kernel';
import type { OperationHandle } from './operation-handle.js';

/** What is fixed when an operation is made. */
export interface LiveOperationInit {
  readonly id: string;
  readonly class: OperationClass;
  readonly kind: string;
  readonly description: string;
  readonly project: string;
  readonly location: string;
  readonly requestor: Requestor;
  readonly resources: Record<string, string[]>;
  readonly metadata: Record<string, unknown>;
  readonly createdAt: Date;
  readonly conflictKey: string | null;
  /** Verb of the busy text. */
  readonly action: string;
  readonly mayCancel: boolean;
  /** Whether a row of its own carries it; otherwise the history gets one when it has ended. */
  readonly stored: boolean;
}

/** Told of every change that the world should hear of. */
export interface LiveOperationObserver {
  changed(operation: LiveOperation): void;
  ended(operation: LiveOperation): void;
}

/**
 * An operation of this member in memory, stored or not: state, waiters, events. Status only moves forward and the end is announced
 * once; progress is announced at most every `progressIntervalMs`, always with the newest values.
 */
export class LiveOperation implements OperationHandle {
  status: OperationStatus = 'Pending';
  error = '';
  updatedAt: Date;
  metadata: Record<string, unknown>;
  mayCancel: boolean;
  endedAt: Date | null = null;
  readonly abort = new AbortController();
  readonly done: Promise<void>;
  private readonly settle: () => void;
  private readonly waiters = new Set<() => void>();
  private announcedAtMs = -Infinity;
  private announcement: NodeJS.Timeout | null = null;

  constructor(
    readonly init: LiveOperationInit,
    private readonly observer: LiveOperationObserver,
    private readonly progressIntervalMs: number,
  ) {
    this.updatedAt = init.createdAt;
    this.metadata = init.metadata;
    this.mayCancel = init.mayCancel;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.settle = resolve;
  }

  get id(): string {
    return this.init.id;
  }

  get stored(): boolean {
    return this.init.stored;
  }

  get ended(): boolean {
    return isFinalStatus(this.status);
  }

  api(): Operation {
    const { id, description, createdAt, resources, location } = this.init;
    return {
      id, class: this.init.class, description,
      created_at: createdAt.toISOString(), updated_at: this.updatedAt.toISOString(),
      status: this.status, status_code: operationStatusCodes[this.status],
      resources: shownResources(resources),
      metadata: Object.keys(this.metadata).length === 0 ? null : this.metadata,
      may_cancel: this.mayCancel, err: this.error, location,
    };
  }

  /** `signal` ends the wait early: the client has gone. */
  async wait(timeoutMs = -1, signal?: AbortSignal): Promise<Operation> {
    if (!this.ended && timeoutMs !== 0 && signal?.aborted !== true) await this.endOrTimeout(timeoutMs, signal);
    return this.api();
  }

  /** Announces it for the first time, as Pending. */
  created(): void {
    this.observer.changed(this);
  }

  /** To a state that is not final. */
  move(status: 'Running' | 'Cancelling'): void {
    if (this.ended || this.status === status) return;
    this.status = status;
    this.announce();
  }

  /** Merges into the metadata; announced with the newest values a few times per second. */
  update(metadata: Record<string, unknown>, now: Date): void {
    if (this.ended) return;
    this.metadata = { ...this.metadata, ...metadata };
    this.updatedAt = now;
    if (this.announcement !== null) return;
    const pauseMs = this.announcedAtMs + this.progressIntervalMs - performance.now();
    if (pauseMs <= 0) return this.announce();
    this.announcement = setTimeout(() => this.announce(), pauseMs);
    this.announcement.unref();
  }

  end(status: 'Success' | 'Failure' | 'Cancelled', now: Date, error = ''): void {
    if (this.ended) return;
    this.status = status;
    this.error = error;
    this.endedAt = now;
    this.announce();
    this.settle();
    for (const wake of this.waiters) wake();
    this.observer.ended(this);
  }

  private announce(): void {
    if (this.announcement !== null) clearTimeout(this.announcement);
    this.announcement = null;
    this.announcedAtMs = performance.now();
    this.observer.changed(this);
  }

  /** A wait that is over leaves nothing behind, however long the operation goes on. */
  private endOrTimeout(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // A timer beyond 2^31 ms would fire at once.
    const timer = timeoutMs < 0 ? undefined : setTimeout(resolve, Math.min(timeoutMs, 2 ** 31 - 1));
    this.waiters.add(resolve);
    const onAbort = (): void => resolve();
    signal?.addEventListener('abort', onAbort, { once: true });
    return promise.finally(() => {
      clearTimeout(timer);
      this.waiters.delete(resolve);
      signal?.removeEventListener('abort', onAbort);
    });
  }
}

/** Nothing at all and a kind without objects are both null on the wire. */
function shownResources(resources: Readonly<Record<string, string[]>>): Operation['resources'] {
  const entries = Object.entries(resources);
  return entries.length === 0 ? null : Object.fromEntries(entries.map(([kind, urls]) => [kind, urls.length === 0 ? null : urls]));
}
