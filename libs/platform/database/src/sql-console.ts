import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Injectable } from '@nestjs/common';
import { internal, invalid, messageOf, type RequestContext } from '#kernel';
import type { Database } from './database.js';
import type { LocalStore } from './local-store.js';
import { OpenTransaction } from './open-transaction.js';
import { localPrefix } from './schema/layout.js';
import type { Sql, SqlValue } from './sql.js';
import { quoteAsText, splitStatements } from './sql-statements.js';
import type { TransactionRunner } from './transaction-runner.js';

/** Body of POST /internal/sql. */
export interface SqlQueryRequest {
  /** `global` or `local`. */
  readonly database: string;
  /** Statements separated by semicolons. `.sync` is accepted and does nothing: the database is a file already. */
  readonly query: string;
}

export interface SqlResult {
  readonly type: 'select' | 'exec';
  /** Null for `exec`. */
  readonly columns: string[] | null;
  /** Null for `exec`. Blobs are sent as text. */
  readonly rows: unknown[][] | null;
  readonly rows_affected: number;
}

/** Metadata of the answer. LXD 5.0.2 writes `Results` and null for empty lists; its client, like ours, reads this as well. */
export interface SqlQueryResponse {
  readonly results: SqlResult[];
}

/** What prepares a statement: a connection, or a transaction. */
type Prepare = (sql: string) => StatementSync;

const onlyReads = /^(SELECT|EXPLAIN|VALUES)\b/i;

/**
 * `roostd sql`: statements an administrator or a repair script sends. Writes to the global database are one transaction of
 * `TransactionRunner`, so they reach every member; only rows can be changed there, since a change of the schema is not in a changeset.
 */
@Injectable()
export class SqlConsole {
  constructor(private readonly database: Database, private readonly runner: TransactionRunner, private readonly localStore: LocalStore) {}

  /** All statements or none. Throws `invalid` for a bad request, `internal` (500, as LXD) for what SQLite refuses. */
  async query(ctx: RequestContext, request: SqlQueryRequest): Promise<SqlQueryResponse> {
    assertDatabase(request.database);
    if (request.query === '') throw invalid('No query provided');
    if (request.query === '.sync') return { results: [] };
    const statements = splitStatements(request.query);
    if (request.database === 'local') return { results: this.runLocal(statements) };
    if (statements.every((statement) => onlyReads.test(statement))) {
      await this.database.barrier(ctx);
      return { results: runAll(this.database.prepare.bind(this.database), this.database.read, statements) };
    }
    const results = await this.runner.run(ctx, (tx) => runAll((sql) => (tx as OpenTransaction).prepare(sql), tx.sql, statements));
    return { results: results };
  }

  /** Text that rebuilds the tables (`.dump`), or their definitions alone (`.schema`). */
  dump(database: string, schemaOnly: boolean): { text: string } {
    assertDatabase(database);
    return { text: dumpText(database === 'local' ? this.localStore.connection : this.database.read, schemaOnly) };
  }

  private runLocal(statements: readonly string[]): SqlResult[] {
    const { connection } = this.localStore;
    const prepare = preparer(connection.db);
    connection.exec('BEGIN IMMEDIATE');
    try {
      const results = runAll(prepare, connection, statements);
      connection.exec('COMMIT');
      return results;
    } catch (error) {
      if (connection.db.isTransaction) connection.exec('ROLLBACK');
      throw error;
    }
  }
}

function assertDatabase(name: string): void {
  if (name !== 'global' && name !== 'local') throw invalid('Invalid database');
}

function preparer(db: DatabaseSync): Prepare {
  return (sql) => db.prepare(sql);
}

function runAll(prepare: Prepare, sql: Sql, statements: readonly string[]): SqlResult[] {
  return statements.map((statement) => {
    try {
      return runOne(prepareLeniently(prepare, statement), sql);
    } catch (error) {
      const verb = /^SELECT\b/i.test(statement) ? 'execute' : 'exec';
      const why = messageOf(error) === 'not authorized' ? 'only rows can be changed here, not the schema nor how the database works' : messageOf(error);
      throw internal(`Failed to ${verb} query: ${why}`, { cause: error });
    }
  });
}

function prepareLeniently(prepare: Prepare, statement: string): StatementSync {
  for (let text = statement; ;) {
    try {
      return prepare(text);
    } catch (error) {
      const name = /^no such column: "(.*)" - should this be a string literal in single-quotes\?$/s.exec(messageOf(error))?.[1];
      const corrected = name === undefined ? text : quoteAsText(text, name);
      if (corrected === text) throw error;
      text = corrected;
    }
  }
}

function runOne(statement: StatementSync, sql: Sql): SqlResult {
  statement.setReadBigInts(true);
  const columns = statement.columns().map(({ name }) => name);
  if (columns.length > 0) {
    statement.setReturnArrays(true);
    const rows = (statement.all() as unknown as SqlValue[][]).map((row) => row.map(toJson));
    return { type: 'select', columns, rows, rows_affected: 0 };
  }
  const total = (): number => sql.get<{ n: number }>('SELECT total_changes() AS n')?.n ?? 0;
  const before = total();
  const changes = Number(statement.run().changes);
  // SQLite counts nothing for a view; what its triggers changed is the answer then.
  return { type: 'exec', columns: null, rows: null, rows_affected: changes === 0 ? total() - before : changes };
}

function toJson(value: SqlValue): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
}

/** As `sqlite3 .dump` writes it. The bookkeeping of this member's copy of the global database is left out. */
function dumpText(sql: Sql, schemaOnly: boolean): string {
  const objects = sql.all<{ type: string; name: string; tbl_name: string; sql: string }>(
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type <> 'table', rowid");
  const lines = ['PRAGMA foreign_keys=OFF;', 'BEGIN TRANSACTION;'];
  for (const object of objects.filter(({ tbl_name }) => !tbl_name.startsWith(localPrefix))) {
    lines.push(`${object.sql};`);
    if (object.type === 'table' && !schemaOnly) lines.push(...dumpRows(sql, object.name));
  }
  return `${[...lines, 'COMMIT;'].join('\n')}\n`;
}

function dumpRows(sql: Sql, table: string): string[] {
  const info = sql.all<{ name: string; pk: number }>('SELECT name, pk FROM pragma_table_info(?) ORDER BY cid', table);
  const columns = info.map(({ name }) => `quote("${name}")`);
  // By key: members with equal rows print equal text, whatever order the rows came in.
  const key = info.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk).map(({ name }) => `"${name}"`);
  const rows = sql.all<{ line: string }>(`SELECT ${columns.join(` || ',' || `)} AS line FROM "${table}"${key.length > 0 ? ` ORDER BY ${key.join(', ')}` : ''}`);
  return rows.map(({ line }) => `INSERT INTO ${table} VALUES(${line});`);
}
