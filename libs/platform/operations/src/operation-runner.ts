import { Injectable } from '@nestjs/common';
import { internalContext, Logger, messageOf, newUuid } from '#kernel';
import { ChangeFeed, TransactionRunner, type RowChange } from '#platform/database';
import { Execution, type ExecutionEnvironment } from './execution.js';
import type { LiveOperation } from './live-operation.js';
import { LiveOperations } from './live-operations.js';
import { OperationRegistry } from './operation-registry.js';
import { OperationRepository, type OperationRow } from './operation.repository.js';
import { OperationsOptions } from './operations-options.js';

/** Types of Roost's own warnings lie above LXD's. */
export const warningTypes = { operationUnknown: 1000, undoFailed: 1001 } as const;

/**
 * Runs the stored operations of this member. A committed row wakes it, through the change feed; nobody calls it to run something. It
 * claims rows by raising their epoch, so that of two runners on one database (a restarted daemon, a mistaken twin) the older one stops.
 */
@Injectable()
export class OperationRunner {
  /** Rows this process is about to commit; their first epoch is already its own. */
  private readonly announced = new Map<string, LiveOperation>();
  private readonly running = new Map<string, Promise<void>>();
  private readonly parked = new Set<string>();
  private unsubscribe: (() => void) | null = null;
  private stopping = false;
  private readonly environment: ExecutionEnvironment;

  constructor(
    private readonly registry: OperationRegistry,
    private readonly repository: OperationRepository,
    private readonly live: LiveOperations,
    private readonly transactions: TransactionRunner,
    private readonly feed: ChangeFeed,
    private readonly options: OperationsOptions,
    private readonly logger: Logger,
  ) {
    this.environment = {
      transactions, repository, registry, options, logger,
      stopped: () => this.stopping,
      undoFailed: (row, step, error) => this.warnOfUndo(row, step, error),
    };
  }

  /** Listens for rows. Rows from before are taken up by `recover`. */
  start(): void {
    this.unsubscribe ??= this.feed.subscribe(['operations'], (changes) => {
      for (const change of changes) this.onChange(change);
    });
  }

  /** Nothing is begun or written after this; what is under way continues in the next process. */
  async stop(patienceMs: number): Promise<void> {
    this.unsubscribe?.();
    this.unsubscribe = null;
    if (this.running.size > 0 && patienceMs > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, patienceMs);
      await Promise.race([Promise.all(this.running.values()), promise]);
      clearTimeout(timer);
    }
    this.stopping = true;
    for (const id of this.running.keys()) this.live.find(id)?.abort.abort();
  }

  /** Says that a row with epoch 1 and this id is about to be committed by this process. */
  announce(operation: LiveOperation): void {
    this.announced.set(operation.id, operation);
  }

  withdraw(id: string): void {
    this.announced.delete(id);
  }

  /** Takes up the rows a former process of this member left. Call once the agent can be reached. Resolves when all are claimed. */
  async recover(): Promise<void> {
    for (const row of this.repository.listLive(this.options.member.id)) {
      if (!this.running.has(row.id) && !this.announced.has(row.id)) await this.claim(row);
    }
  }

  private onChange(change: RowChange): void {
    const id = String(change.key[0]);
    if (change.op === 'insert') return this.onInsert(id);
    if (change.op !== 'update' || !this.running.has(id)) return;
    const operation = this.live.find(id);
    if (operation === undefined || operation.abort.signal.aborted || operation.ended) return;
    if (this.repository.cancelRequested(id)) operation.abort.abort();
  }

  private onInsert(id: string): void {
    const own = this.announced.get(id);
    const row = this.repository.get(id);
    if (row === undefined || row.memberId !== this.options.member.id) return;
    if (own !== undefined) {
      this.announced.delete(id);
      own.created();
      this.begin(row, row.epoch, own, false);
    } else if (row.status === 'Pending' && row.epoch === 0) {
      this.claim(row).catch((error: unknown) => this.logger.error('Failed claiming an operation', { operation: id, error: messageOf(error) }));
    }
  }

  private async claim(row: OperationRow): Promise<void> {
    const known = this.registry.find(row.kind, row.version);
    const names = known?.steps.map((step) => step.name).join();
    if (known === undefined || names !== row.steps.join()) return this.park(row);
    const won = await this.transactions.run(internalContext(), (tx) => this.repository.claim(tx, row.id, row.epoch));
    if (!won) return;
    const { id, kind, description, project, requestor, resources, metadata, createdAt, conflictKey } = row;
    const operation = this.live.add({
      id, class: 'task', kind, description, project, requestor, resources, metadata, createdAt, conflictKey, location: this.options.member.location, stored: true,
      action: known.definition.action ?? kind.slice(kind.lastIndexOf('.') + 1), mayCancel: known.definition.mayCancel !== false && !row.committed,
    });
    // Read again: a cancel may have come between the read and the claim.
    const claimed = this.repository.get(id) ?? row;
    if (claimed.cancelRequested && !claimed.committed) operation.abort.abort();
    operation.created();
    this.begin(claimed, row.epoch + 1, operation, row.epoch > 0);
  }

  private begin(row: OperationRow, epoch: number, operation: LiveOperation, resumed: boolean): void {
    const known = this.registry.find(row.kind, row.version);
    if (known === undefined || this.stopping) return;
    // Not in the change feed's own turn: who scheduled it is answered first.
    const work = Promise.resolve().then(() => new Execution(this.environment, known, row, epoch, operation).carryOut(resumed));
    this.running.set(row.id, work);
    void work.then(() => this.running.delete(row.id));
  }

  /** A newer version wrote it, or one that is gone: it waits for a process that knows it, and the operator hears of it. */
  private async park(row: OperationRow): Promise<void> {
    if (this.parked.has(row.id)) return;
    this.parked.add(row.id);
    const message = `Operation ${row.id} of unknown kind "${row.kind}" version ${row.version} is parked`;
    this.logger.warn(message, { operation: row.id, kind: row.kind, version: row.version, steps: row.steps });
    await this.warn(row.project, warningTypes.operationUnknown, message);
  }

  private async warnOfUndo(row: OperationRow, step: string, error: unknown): Promise<void> {
    const message = `Operation ${row.id} (${row.kind}) failed to undo step "${step}": ${messageOf(error)}`;
    this.logger.error(message, { operation: row.id, kind: row.kind, step, params: row.params, resources: row.resources });
    await this.warn(row.project, warningTypes.undoFailed, message);
  }

  private async warn(project: string, typeCode: number, message: string): Promise<void> {
    const uuid = newUuid();
    await this.transactions.run(internalContext(), (tx) =>
      this.repository.insertWarning(tx, { uuid, memberId: this.options.member.id, project, typeCode, message }));
  }
}
