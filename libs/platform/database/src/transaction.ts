import type { EntityManager } from 'typeorm';
import type { SqlWriter } from './sql.js';

/**
 * One transaction, as its function sees it. Using it after the function has ended throws.
 */
export interface Tx {
  readonly sql: SqlWriter;
  /** TypeORM on the same transaction: `save()` and `transaction()` nest in it. */
  readonly manager: EntityManager;
  /** Fixed for the transaction. */
  readonly now: Date;
  /** The next id of a counter, by convention the name of the table it is for. */
  nextId(counter: string): number;
  /** Run once after the commit, in order: events, wake-ups. Not run when the transaction is rolled back or run again. */
  afterCommit(hook: () => void): void;
}
