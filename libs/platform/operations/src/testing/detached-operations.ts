import { SilentLogger } from '#kernel';
import type { ChangeFeed, Database, TransactionRunner } from '#platform/database';
import { EventBus } from '#platform/events';
import { LiveOperations } from '../live-operations.js';
import { OperationHistory } from '../operation-history.js';
import { OperationRegistry } from '../operation-registry.js';
import { OperationRunner } from '../operation-runner.js';
import { OperationRepository } from '../operation.repository.js';
import { OperationsOptions } from '../operations-options.js';
import { OperationsService } from '../operations.service.js';

export interface DatabaseParts {
  readonly transactions: TransactionRunner;
  readonly database: Database;
  readonly feed: ChangeFeed;
}

/** One daemon's operations without a container. Several on one database are a daemon and its successors. */
export class DetachedOperations {
  readonly events: EventBus;
  readonly registry = new OperationRegistry(undefined as never);
  readonly service: OperationsService;
  readonly history: OperationHistory;
  readonly repository: OperationRepository;
  readonly options: OperationsOptions;

  constructor(parts: DatabaseParts, options: Partial<OperationsOptions> = {}) {
    const settings = Object.assign(new OperationsOptions(), options);
    this.options = settings;
    this.events = new EventBus(settings.member);
    const logger = new SilentLogger();
    const live = new LiveOperations(this.events, settings);
    const repository = new OperationRepository(parts.database);
    this.repository = repository;
    const runner = new OperationRunner(this.registry, repository, live, parts.transactions, parts.feed, settings, logger);
    this.history = new OperationHistory(repository, parts.transactions, settings, logger, live);
    this.service = new OperationsService(this.registry, live, repository, runner, this.history, parts.transactions, settings);
    runner.start();
  }

  /** As after `kill -9`: hears nothing more. Steps under way must be held by the test. */
  async die(): Promise<void> {
    await this.service.stop(0);
  }
}
