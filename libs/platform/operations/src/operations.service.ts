import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { WebSocket } from 'ws';
import type { OperationClass } from '#api-types';
import { conflict, forbidden, internal, invalid, messageOf, newOperationId, type RequestContext } from '#kernel';
import { TransactionRunner, type Tx } from '#platform/database';
import type { LiveOperation } from './live-operation.js';
import { busyText, LiveOperations } from './live-operations.js';
import { OperationHistory } from './operation-history.js';
import type { OperationHandle } from './operation-handle.js';
import { OperationRegistry } from './operation-registry.js';
import { OperationRunner } from './operation-runner.js';
import { OperationRepository } from './operation.repository.js';
import { OperationsOptions } from './operations-options.js';

/** How long the end of the process may wait for the last operations to become history. */
const historyPatienceMs = 1000;

export interface ScheduleOptions {
  /** Objects it works on, as shown: `{ instances: ['/1.0/instances/c1'] }`. */
  readonly resources: Record<string, string[]>;
  readonly metadata?: Record<string, unknown>;
  /** Instead of the definition's, where one kind serves several requests. */
  readonly description?: string;
  /** Rows that must appear together with the operation; its undo is the first step's. Throw to refuse the request. May run more than once. */
  readonly reserve?: (tx: Tx) => void | Promise<void>;
}

/** What an in-memory operation may use while it runs. */
export interface RunningOperation {
  readonly id: string;
  /** Aborted by a cancel. */
  readonly signal: AbortSignal;
  /** Merges into the metadata. */
  update(metadata: Record<string, unknown>): void;
}

export interface InMemoryOptions {
  /** `instance.start`; for the history and for busy texts. */
  readonly kind: string;
  readonly class: OperationClass;
  readonly description: string;
  readonly resources: Record<string, string[]>;
  readonly metadata?: Record<string, unknown>;
  readonly conflictKey?: string | null;
  /** Verb of the busy text; the last part of `kind` unless given. */
  readonly action?: string;
  /** Its result is merged into the metadata. Absent for tokens, which stay Running until cancelled. */
  readonly run?: (operation: RunningOperation) => Promise<Record<string, unknown> | void>;
  /** Absent: not cancellable (tokens always are). Called before the signal aborts. */
  readonly cancel?: () => Promise<void>;
  /** Answers `/1.0/operations/{id}/websocket?secret=`; throws `forbidden` for a wrong secret. */
  readonly connect?: (secret: string, accept: () => Promise<WebSocket>) => Promise<void>;
}

/**
 * Where operations begin, are found and are cancelled. Stored ones are rows that survive the daemon and wake the runner; in-memory ones
 * (exec, start, stop, tokens) need no database and end with the process. Both look the same from outside.
 */
@Injectable()
export class OperationsService {
  private readonly inMemory = new Map<string, InMemoryOptions>();

  constructor(
    private readonly registry: OperationRegistry,
    private readonly live: LiveOperations,
    private readonly repository: OperationRepository,
    private readonly runner: OperationRunner,
    private readonly history: OperationHistory,
    private readonly transactions: TransactionRunner,
    private readonly options: OperationsOptions,
  ) {
    live.onEnd((operation) => this.inMemory.delete(operation.id));
  }

  /**
   * Writes the operation and what `reserve` writes in one transaction; the committed row starts it.
   * @throws `conflict` when another operation has the same conflict key, and whatever `reserve` throws.
   */
  async schedule<P>(ctx: RequestContext, kind: string, params: P, options: ScheduleOptions): Promise<OperationHandle> {
    const { definition, steps } = this.registry.current(kind);
    const conflictKey = definition.conflictsWith(params);
    const { id: memberId, location } = this.options.member;
    const operation = this.live.add({
      id: newOperationId(memberId), class: 'task', kind, description: options.description ?? definition.description, project: ctx.project, location,
      requestor: ctx.requestor, resources: options.resources, metadata: options.metadata ?? {}, createdAt: new Date(), conflictKey,
      action: definition.action ?? lastPart(kind), mayCancel: definition.mayCancel !== false, stored: true,
    });
    this.runner.announce(operation);
    try {
      await this.transactions.run(ctx, async (tx) => {
        if (conflictKey !== null) this.refuseBusy(tx, conflictKey);
        await options.reserve?.(tx);
        this.repository.insert(tx, {
          id: operation.id, memberId, project: ctx.project, kind, version: definition.version, description: operation.init.description, conflictKey,
          epoch: 1, requestor: ctx.requestor, resources: options.resources, params, steps: steps.map((step) => step.name), metadata: operation.metadata,
        });
      });
    } catch (error) {
      this.runner.withdraw(operation.id);
      this.live.forget(operation);
      throw error;
    }
    operation.move('Running');
    return operation;
  }

  /**
   * Leaves work to a member, this one or another, as part of the caller's transaction: it begins when that member reads the row, whenever that is
   * (hazards D4). Its conflict key excludes nobody here; steps must stand whatever has happened since.
   */
  delegate<P>(tx: Tx, ctx: RequestContext, kind: string, params: P, options: { readonly memberId: number; readonly resources: Record<string, string[]> }): void {
    const { definition, steps } = this.registry.current(kind);
    this.repository.insert(tx, {
      id: newOperationId(options.memberId), memberId: options.memberId, project: ctx.project, kind, version: definition.version, description: definition.description,
      conflictKey: definition.conflictsWith(params), epoch: 0, requestor: ctx.requestor, resources: options.resources, params, steps: steps.map((step) => step.name), metadata: {},
    });
  }

  /** The operation under way with a conflict key, on any member, as committed and seen here. */
  holder(conflictKey: string): { readonly id: string; readonly kind: string } | undefined {
    return this.repository.findBusy(null, conflictKey);
  }

  /** @throws `conflict` when another operation has the same conflict key. `run` begins before this resolves. */
  async runInMemory(ctx: RequestContext, options: InMemoryOptions): Promise<OperationHandle> {
    const conflictKey = options.conflictKey ?? null;
    if (conflictKey !== null && this.live.holderOf(conflictKey) === undefined) this.refuseBusy(null, conflictKey);
    const operation = this.live.add({
      id: newOperationId(this.options.member.id), class: options.class, kind: options.kind, description: options.description, project: ctx.project,
      location: this.options.member.location, requestor: ctx.requestor, resources: options.resources, metadata: options.metadata ?? {}, createdAt: new Date(),
      conflictKey, action: options.action ?? lastPart(options.kind), mayCancel: options.class === 'token' || options.cancel !== undefined, stored: false,
    });
    this.inMemory.set(operation.id, options);
    operation.created();
    operation.move('Running');
    if (options.run !== undefined) void this.carryOut(operation, options.run);
    return operation;
  }

  /** @throws `not-found` for one that never was or ended more than some seconds ago. */
  get(id: string): LiveOperation {
    return this.live.get(id);
  }

  /** Of one project, or of all with null. */
  list(project: string | null): LiveOperation[] {
    return this.live.list(project);
  }

  /** The operation under way that holds a conflict key, for callers that want to join or end it. */
  holderOf(conflictKey: string): LiveOperation | undefined {
    return this.live.holderOf(conflictKey);
  }

  /** Whether an operation under way holds a conflict key, on this member or, stored, on any. */
  isBusy(conflictKey: string): boolean {
    return this.live.holderOf(conflictKey) !== undefined || this.repository.findBusy(null, conflictKey) !== undefined;
  }

  /**
   * Asks it to stop; it ends as Cancelled when it has cleaned up. Resolves once it cannot be lost (the row says so).
   * @throws `invalid` in LXD's words when it has ended or cannot be cancelled.
   */
  async cancel(ctx: RequestContext, id: string): Promise<void> {
    const operation = this.live.get(id);
    if (operation.status !== 'Running') throw invalid('Only running operations can be cancelled');
    if (!operation.mayCancel) throw invalid("This operation can't be cancelled");
    if (operation.stored) return this.cancelStored(ctx, operation);
    const options = this.inMemory.get(id);
    operation.move('Cancelling');
    try {
      await options?.cancel?.();
    } finally {
      operation.abort.abort();
      if (options?.run === undefined) operation.end('Cancelled', new Date());
    }
  }

  /**
   * Connects a websocket of the operation.
   * @throws `internal` where LXD answers 500: another class, or not running; whatever the operation's own check throws.
   */
  async connect(id: string, secret: string, accept: () => Promise<WebSocket>): Promise<void> {
    const operation = this.live.get(id);
    if (operation.init.class !== 'websocket') throw internal('Only websocket operations can be connected');
    if (operation.status !== 'Running') throw internal('Only running operations can be connected');
    const connect = this.inMemory.get(id)?.connect;
    if (connect === undefined) throw forbidden('not authorized');
    await connect(secret, accept);
  }

  /** Goes on with, or undoes, what a former process left in the database. Call at start, once the agent answers. */
  recover(): Promise<void> {
    this.runner.start();
    return this.runner.recover();
  }

  /** Before the process ends: what is stored stays resumable, what is in memory goes to the history unless that takes too long, as without a quorum. */
  async stop(patienceMs: number): Promise<void> {
    await this.runner.stop(patienceMs);
    await Promise.race([this.history.flush(), sleep(historyPatienceMs, undefined, { ref: false })]);
  }

  private async cancelStored(ctx: RequestContext, operation: LiveOperation): Promise<void> {
    const asked = await this.transactions.run(ctx, (tx) => this.repository.requestCancel(tx, operation.id));
    if (!asked) throw invalid(operation.ended ? 'Only running operations can be cancelled' : "This operation can't be cancelled");
    operation.move('Cancelling');
    operation.abort.abort();
  }

  private async carryOut(operation: LiveOperation, run: NonNullable<InMemoryOptions['run']>): Promise<void> {
    const signal = operation.abort.signal;
    try {
      const result = await run({ id: operation.id, signal, update: (metadata) => operation.update(metadata, new Date()) });
      if (result !== undefined) operation.metadata = { ...operation.metadata, ...result };
      operation.end(signal.aborted ? 'Cancelled' : 'Success', new Date());
    } catch (error) {
      if (signal.aborted) operation.end('Cancelled', new Date());
      else operation.end('Failure', new Date(), messageOf(error));
    }
  }

  private refuseBusy(tx: Tx | null, conflictKey: string): void {
    const row = this.repository.findBusy(tx, conflictKey);
    if (row === undefined) return;
    throw conflict(busyText(conflictKey, this.live.find(row.id)?.init.action ?? lastPart(row.kind)));
  }
}

function lastPart(kind: string): string {
  return kind.slice(kind.lastIndexOf('.') + 1);
}
