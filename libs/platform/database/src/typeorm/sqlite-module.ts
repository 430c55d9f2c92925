import type { StatementSync } from 'node:sqlite';
import { internal } from '#kernel';
import type { SqliteConnection } from '../sqlite-connection.js';
import type { SqlValue } from '../sql.js';

/** The part of better-sqlite3's statement that TypeORM's driver uses. */
class StatementShape {
  /** Whether it returns rows. */
  readonly reader: boolean;

  constructor(private readonly statement: StatementSync, private readonly connection: SqliteConnection, private readonly sql: string) {
    this.reader = statement.columns().length > 0;
  }

  all(...params: SqlValue[]): unknown[] {
    return this.statement.all(...params);
  }

  /** Through the connection, which measures what is written. */
  run(...params: SqlValue[]): { changes: number; lastInsertRowid: number } {
    return this.connection.run(this.sql, ...params);
  }
}

/** The part of better-sqlite3's database that TypeORM's driver uses, over a connection that is open already and stays ours. */
class DatabaseShape {
  constructor(private readonly connection: SqliteConnection) {}

  prepare(sql: string): StatementShape {
    // TypeORM opens a transaction around save(). Ours is open already where writing is allowed, and on the read connection it would
    // pin a snapshot for ever.
    if (/^\s*(BEGIN|COMMIT|ROLLBACK)\s*(TRANSACTION\s*)?;?\s*$/i.test(sql)) throw internal('Transactions are opened by TransactionRunner.run only');
    return new StatementShape(this.connection.statement(sql), this.connection, sql);
  }

  pragma(): unknown[] {
    // The driver sets foreign_keys and journal_mode when it connects; the connection's owner decides both.
    return [];
  }

  close(): void {}
}

/** A stand-in for the module `better-sqlite3`: what TypeORM's driver calls `new` on. */
export function sqliteModule(connection: SqliteConnection): new () => object {
  return class extends DatabaseShape {
    constructor() {
      super(connection);
    }
  };
}
