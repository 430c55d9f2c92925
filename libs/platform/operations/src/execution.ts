import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, conflict, messageOf, type Logger, type RequestContext } from '#kernel';
import type { Tx, TransactionRunner } from '#platform/database';
import type { LiveOperation } from './live-operation.js';
import type { OperationRegistry, RegisteredOperation } from './operation-registry.js';
import type { OperationRepository, OperationRow } from './operation.repository.js';
import type { OperationsOptions } from './operations-options.js';
import type { StepContext } from './step.js';

/** What an execution needs of its runner. */
export interface ExecutionEnvironment {
  readonly transactions: TransactionRunner;
  readonly repository: OperationRepository;
  readonly registry: OperationRegistry;
  readonly options: OperationsOptions;
  readonly logger: Logger;
  /** True once the daemon stops: nothing is written any more, the next process goes on from the rows. */
  readonly stopped: () => boolean;
  readonly undoFailed: (row: OperationRow, step: string, error: unknown) => Promise<void>;
}

/** Thrown when another runner has claimed the row, or the daemon stops: leave everything as it is. */
class Abandoned {}

/**
 * Carries one claimed operation to its end: forward step by step, or backward from where it is. Writes at a step's boundary only where
 * the step asks for it, and at the end. Every write names the claimed epoch, so that of two executions at most one has effect.
 */
export class Execution {
  private readonly outputs: Record<string, unknown>;
  private readonly requestContext: RequestContext;
  private cancelled: boolean;
  private committed: boolean;
  /** When the last step's transaction ended the operation. */
  private endedAt: Date | null = null;

  constructor(
    private readonly environment: ExecutionEnvironment,
    private readonly operation: RegisteredOperation,
    private readonly row: OperationRow,
    /** The one in force now, not the one the row was read with. */
    private readonly epoch: number,
    private readonly live: LiveOperation,
  ) {
    this.outputs = { ...row.outputs };
    this.cancelled = row.cancelRequested;
    this.committed = row.committed;
    this.requestContext = { requestId: row.id, project: row.project, requestor: row.requestor, trusted: true, signal: live.abort.signal };
  }

  /** Resolves when the operation has ended or was left to another runner. Does not reject. */
  async carryOut(resumed: boolean): Promise<void> {
    try {
      await this.advance(resumed);
    } catch (error) {
      if (error instanceof Abandoned) return;
      // The database refused the last write (full disk, no quorum). The row is as it was; the next process takes it from there.
      this.environment.logger.error('Failed recording an operation', { operation: this.row.id, kind: this.row.kind, error: messageOf(error) });
      this.live.end('Failure', new Date(), `Failed recording the operation: ${messageOf(error)}`);
    }
  }

  private async advance(resumed: boolean): Promise<void> {
    this.live.move('Running');
    const first = this.nextStep();
    if (resumed && this.row.status === 'Cancelling') return this.unwind(this.lastBegun(first), this.row.error);
    if (resumed && !this.committed && this.operation.definition.restart === 'unwind') {
      return this.unwind(this.lastBegun(first), 'The daemon was restarted while the operation was running');
    }
    await this.forward(first, resumed ? this.lastBegun(first) : first - 1);
  }

  private async forward(first: number, begunBefore: number): Promise<void> {
    const { steps, definition } = this.operation;
    let begun = begunBefore;
    try {
      for (let index = first; index < steps.length; index++) {
        this.throwIfOver();
        begun = Math.max(begun, index);
        await this.runStep(index);
      }
      const result = definition.result?.(this.row.params, this.outputs);
      if (result !== undefined) this.live.metadata = { ...this.live.metadata, ...result };
      if (this.endedAt !== null) return this.live.end('Success', this.endedAt);
      if (await this.finish('Success', '')) return;
      // Nothing had a commit point and a cancel came first.
      this.cancelled = true;
    } catch (error) {
      if (this.endedAt !== null) {
        const { logger } = this.environment;
        if (!(error instanceof Abandoned)) logger.error('A step failed after it had ended its operation', { operation: this.row.id, kind: this.row.kind, error: messageOf(error) });
        return this.live.end('Success', this.endedAt);
      }
      if (error instanceof Abandoned || this.environment.stopped()) throw new Abandoned();
      if (this.live.abort.signal.aborted && !this.committed) this.cancelled = true;
      return this.unwind(begun, messageOf(error), error);
    }
    await this.unwind(begun, '');
  }

  private async runStep(index: number): Promise<void> {
    const { steps } = this.operation;
    const step = steps[index]!;
    let saved = false;
    const context: StepContext = {
      ...this.context(),
      save: (tx, output) => {
        this.save(tx, { ...this.outputs, [step.name]: output ?? null });
        // What is in the row is the output, whatever becomes of the rest of the step: its undoing needs it.
        tx.afterCommit(() => {
          saved = true;
          this.outputs[step.name] = output ?? null;
        });
      },
      finish: (tx) => this.finishWith(tx, index),
    };
    const output = await step.run(context, this.row.params, this.outputs);
    if (this.environment.stopped()) throw new Abandoned();
    this.outputs[step.name] = output ?? null;
    const last = index === steps.length - 1;
    if (step.saveOutput && !last && !saved) {
      await this.environment.transactions.run(this.requestContext, (tx) => this.save(tx, this.outputs));
    }
  }

  private save(tx: Tx, outputs: Record<string, unknown>): void {
    const named = Object.fromEntries(this.operation.steps.filter((s) => s.saveOutput && s.name in outputs).map((s) => [s.name, outputs[s.name]]));
    if (!this.environment.repository.saveOutputs(tx, this.row.id, this.epoch, named)) throw new Abandoned();
  }

  /** Backward from the step `from`, then the end. Each undo is tried several times; one that stays impossible becomes a warning. */
  private async unwind(from: number, error: string, thrown?: unknown): Promise<void> {
    const { transactions, repository, logger } = this.environment;
    if (AppError.is(thrown, 'internal') || (thrown !== undefined && !(thrown instanceof AppError))) {
      logger.error('Operation failed', { operation: this.row.id, kind: this.row.kind, error, stack: thrown instanceof Error ? thrown.stack : undefined });
    }
    this.live.mayCancel = false;
    this.live.move('Cancelling');
    const begun = await transactions.run(this.requestContext, (tx) => repository.startUndo(tx, this.row.id, this.epoch, error));
    if (!begun) throw new Abandoned();
    const context = this.context(new AbortController().signal);
    for (let index = from; index >= 0; index--) await this.undoStep(index, context);
    if (this.cancelled) await this.finish('Cancelled', '');
    else await this.finish('Failure', error);
  }

  private async undoStep(index: number, context: StepContext): Promise<void> {
    const { options, logger, undoFailed, stopped } = this.environment;
    const step = this.operation.steps[index]!;
    for (const pauseMs of [...options.undoRetryDelaysMs, null]) {
      if (stopped()) throw new Abandoned();
      try {
        return await step.undo(context, this.row.params, this.outputs[step.name] ?? undefined);
      } catch (error) {
        logger.warn('Failed undoing a step', { operation: this.row.id, kind: this.row.kind, step: step.name, error: messageOf(error) });
        if (pauseMs === null) return undoFailed(this.row, step.name, error);
        await sleep(pauseMs, undefined, { ref: false });
      }
    }
  }

  private async finish(status: 'Success' | 'Failure' | 'Cancelled', error: string): Promise<boolean> {
    const { transactions, repository } = this.environment;
    const { now, done } = await transactions.run(this.requestContext, (tx) => ({
      now: tx.now, done: repository.finish(tx, this.row.id, this.epoch, { status, error, metadata: this.live.metadata }),
    }));
    if (!done) {
      if (status === 'Success' && repository.cancelRequested(this.row.id)) return false;
      throw new Abandoned();
    }
    this.live.end(status, now, error);
    return true;
  }

  private finishWith(tx: Tx, index: number): void {
    const { repository } = this.environment;
    // Results are made from all outputs, so there the end has a write of its own.
    if (index !== this.operation.steps.length - 1 || this.operation.definition.result !== undefined) return;
    if (!repository.finish(tx, this.row.id, this.epoch, { status: 'Success', error: '', metadata: this.live.metadata })) {
      if (!repository.cancelRequested(this.row.id)) throw new Abandoned();
      this.cancelled = true;
      throw conflict('Operation was cancelled');
    }
    tx.afterCommit(() => { this.endedAt = tx.now; });
  }

  private context(signal: AbortSignal = this.live.abort.signal): StepContext {
    return {
      operationId: this.row.id,
      ctx: { ...this.requestContext, signal },
      signal,
      progress: (metadata) => this.live.update(metadata, new Date()),
      commitPoint: (tx) => this.commitPoint(tx),
      save: () => {},
      finish: () => {},
    };
  }

  private commitPoint(tx: Tx): void {
    if (!this.environment.repository.commit(tx, this.row.id, this.epoch)) {
      // Lost claims show at the next write, which names the epoch.
      this.cancelled = true;
      throw conflict('Operation was cancelled');
    }
    tx.afterCommit(() => {
      this.committed = true;
      this.live.mayCancel = false;
    });
  }

  private throwIfOver(): void {
    if (this.environment.stopped()) throw new Abandoned();
    if (this.live.abort.signal.aborted && !this.committed) {
      this.cancelled = true;
      throw conflict('Operation was cancelled');
    }
  }

  /** The first step without a saved boundary behind which nothing is saved either. */
  private nextStep(): number {
    return this.operation.steps.findLastIndex((step) => Object.hasOwn(this.outputs, step.name)) + 1;
  }

  /** A dead process may have begun every step up to the next boundary it would have saved. */
  private lastBegun(first: number): number {
    const { steps } = this.operation;
    const boundary = steps.findIndex((step, index) => index >= first && step.saveOutput);
    return boundary < 0 ? steps.length - 1 : boundary;
  }
}
