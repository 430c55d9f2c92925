import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqlValue, SqlWriter } from './sql.js';

/** Statements kept per generation; two generations are kept, so at most twice as many. */
const statementsPerGeneration = 256;

export interface ConnectionOptions {
  readonly path: string;
  readonly readOnly?: boolean;
  readonly synchronous?: 'FULL' | 'NORMAL' | 'OFF';
}

/**
 * One connection of `node:sqlite` with its prepared statements. Busy timeout is 0: SQLite's busy handler would sleep on the event
 * loop (hazards C1), so whoever meets a lock waits by itself, off the loop.
 */
export class SqliteConnection implements SqlWriter {
  readonly db: DatabaseSync;
  /** Bytes bound as parameters by `run` since it was last set; a cheap measure of how much is being written. */
  writtenBytes = 0;
  private young = new Map<string, StatementSync>();
  private old = new Map<string, StatementSync>();
  private readonly own = new Map<string, StatementSync>();

  constructor(readonly options: ConnectionOptions) {
    this.db = new DatabaseSync(options.path, { readOnly: options.readOnly ?? false, timeout: 0, enableForeignKeyConstraints: true });
    this.db.exec('PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000');
    if (options.readOnly) return;
    this.db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous ?? 'FULL'}; PRAGMA journal_size_limit = 67108864`);
  }

  all<T = Record<string, SqlValue>>(sql: string, ...params: SqlValue[]): T[] {
    return this.statement(sql).all(...params) as T[];
  }

  get<T = Record<string, SqlValue>>(sql: string, ...params: SqlValue[]): T | undefined {
    return this.statement(sql).get(...params) as T | undefined;
  }

  run(sql: string, ...params: SqlValue[]): { changes: number; lastInsertRowid: number } {
    for (const value of params) this.writtenBytes += typeof value === 'string' || value instanceof Uint8Array ? value.length : 8;
    return this.statement(sql).run(...params) as { changes: number; lastInsertRowid: number };
  }

  /** Several statements, without parameters or results. */
  exec(sql: string): void {
    this.db.exec(sql);
  }

  /** Rows changed since the connection was opened, by cascades and triggers too. */
  totalChanges(): number {
    return (this.control('SELECT total_changes() AS n').get() as { n: number }).n;
  }

  /** Prepared once and kept while it is used: what was not asked for during a whole generation is dropped. */
  statement(sql: string): StatementSync {
    let statement = this.young.get(sql);
    if (statement) return statement;
    statement = this.old.get(sql) ?? this.db.prepare(sql);
    if (this.young.size >= statementsPerGeneration) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(sql, statement);
    return statement;
  }

  /**
   * Statements of the machinery itself, apart from those of transactions' functions: the write guard judges a statement when it is
   * prepared, so one prepared for ourselves must not be handed to them.
   */
  control(sql: string): StatementSync {
    let statement = this.own.get(sql);
    if (!statement) this.own.set(sql, (statement = this.db.prepare(sql)));
    return statement;
  }

  get cachedStatements(): number {
    return this.young.size + this.old.size;
  }

  close(): void {
    this.young.clear();
    this.old.clear();
    this.own.clear();
    if (this.db.isOpen) this.db.close();
  }
}
