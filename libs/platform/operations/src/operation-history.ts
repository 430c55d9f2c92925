import { Injectable } from '@nestjs/common';
import { internalContext, Logger, messageOf } from '#kernel';
import { TransactionRunner } from '#platform/database';
import type { LiveOperation } from './live-operation.js';
import { LiveOperations } from './live-operations.js';
import { OperationRepository } from './operation.repository.js';
import { OperationsOptions } from './operations-options.js';

/**
 * Who did what, when, to which object, and how it ended. Stored operations leave their own row; in-memory ones are appended here from
 * time to time, many in one transaction, and trimmed with them. Without a quorum they wait in memory, the oldest giving way.
 */
@Injectable()
export class OperationHistory {
  private waiting: LiveOperation[] = [];
  private endedSinceTrim = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly repository: OperationRepository,
    private readonly transactions: TransactionRunner,
    private readonly options: OperationsOptions,
    private readonly logger: Logger,
    live: LiveOperations,
  ) {
    live.onEnd((operation) => this.onEnd(operation));
  }

  /** Writes what waits; called by a timer and at the daemon's end. */
  async flush(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const batch = this.waiting;
    if (batch.length === 0 && this.endedSinceTrim < this.options.historyRows / 10) return;
    this.waiting = [];
    try {
      await this.transactions.run(internalContext(), (tx) => {
        for (const operation of batch) this.repository.insertHistory(tx, this.options.member.id, operation);
        this.repository.trimHistory(tx, this.options.member.id, this.options.historyRows);
      });
      this.endedSinceTrim = 0;
    } catch (error) {
      this.logger.warn('Failed appending operations to the history', { count: batch.length, error: messageOf(error) });
      this.waiting = [...batch, ...this.waiting].slice(-this.options.historyRows);
      this.arm();
    }
  }

  private onEnd(operation: LiveOperation): void {
    this.endedSinceTrim++;
    if (!operation.stored) this.waiting.push(operation);
    if (this.waiting.length > this.options.historyRows) this.waiting.shift();
    this.arm();
  }

  private arm(): void {
    this.timer ??= setTimeout(() => void this.flush(), this.options.historyIntervalMs).unref();
  }
}
