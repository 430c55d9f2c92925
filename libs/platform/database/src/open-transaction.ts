import type { StatementSync } from 'node:sqlite';
import type { EntityManager } from 'typeorm';
import { internal } from '#kernel';
import type { Layout } from './schema/layout.js';
import type { SqliteConnection } from './sqlite-connection.js';
import type { SqlValue, SqlWriter } from './sql.js';
import type { Tx } from './transaction.js';
import type { TypeOrmConnection, TransactionManager } from './typeorm/typeorm-connection.js';

/** What a transaction needs from its surroundings. */
export interface TransactionSurroundings {
  readonly connection: SqliteConnection;
  readonly typeorm: TypeOrmConnection;
  readonly layout: Layout;
}

/** Hands statements on while its transaction is open, so that a function that goes on too long cannot write into the next one. */
class GuardedSql implements SqlWriter {
  constructor(private readonly connection: SqliteConnection, private readonly transaction: OpenTransaction) {}

  all<T>(sql: string, ...params: SqlValue[]): T[] {
    this.transaction.assertOpen();
    return this.connection.all<T>(sql, ...params);
  }

  get<T>(sql: string, ...params: SqlValue[]): T | undefined {
    this.transaction.assertOpen();
    return this.connection.get<T>(sql, ...params);
  }

  run(sql: string, ...params: SqlValue[]): { changes: number } {
    this.transaction.assertOpen();
    return this.connection.run(sql, ...params);
  }
}

export class OpenTransaction implements Tx {
  readonly sql: SqlWriter;
  readonly hooks: (() => void)[] = [];
  open = true;
  private typeorm: TransactionManager | null = null;

  constructor(private readonly surroundings: TransactionSurroundings, readonly now: Date) {
    this.sql = new GuardedSql(surroundings.connection, this);
  }

  /** Made on first use: most transactions use plain SQL. */
  get manager(): EntityManager {
    this.assertOpen();
    this.typeorm ??= this.surroundings.typeorm.transactionManager();
    return this.typeorm.manager;
  }

  /** For the SQL console, which needs column names and places. */
  prepare(sql: string): StatementSync {
    this.assertOpen();
    return this.surroundings.connection.db.prepare(sql);
  }

  /** Never one that a row of the table of that name has already, since administrators insert rows by hand. */
  nextId(counter: string): number {
    this.assertOpen();
    const { connection, layout } = this.surroundings;
    let last = connection.get<{ value: number }>('SELECT value FROM id_counters WHERE name = ?', counter)?.value ?? 0;
    if (layout.tables.get(counter)?.some(({ name, pk }) => name === 'id' && pk === 1)) {
      last = Math.max(last, connection.get<{ id: number | null }>(`SELECT max(id) AS id FROM "${counter}"`)?.id ?? 0);
    }
    connection.run('INSERT INTO id_counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value', counter, last + 1);
    return last + 1;
  }

  afterCommit(hook: () => void): void {
    this.assertOpen();
    this.hooks.push(hook);
  }

  assertOpen(): void {
    if (!this.open) throw internal('The transaction was used after its function had ended');
  }

  close(): void {
    this.open = false;
    this.typeorm?.release();
  }
}
