import type { StatementSync } from 'node:sqlite';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { RequestContext } from '#kernel';
import type { EntryApplier } from './entry-applier.js';
import type { LogEntry, LogHead } from '#platform/raft';
import type { SqliteConnection } from './sqlite-connection.js';
import type { Sql } from './sql.js';
import type { TypeOrmConnection } from './typeorm/typeorm-connection.js';
import type { Writer } from './writer.js';

export interface DatabaseParts {
  readonly writer: Writer;
  readonly applier: EntryApplier;
  readonly reader: SqliteConnection;
  readonly typeorm: TypeOrmConnection;
}

/**
 * The whole global database in this member's own file: reads, and its place in the log. Reads use a connection of their own, see what
 * is committed and nothing else, and are never held up by writers. Writing goes through `TransactionRunner`.
 */
@Injectable()
export class Database {
  /** Every call sees the newest commit; two calls may see two different ones. */
  readonly read: Sql;

  constructor(private readonly parts: DatabaseParts) {
    this.read = parts.reader;
  }

  /** TypeORM on the read connection; `save()` on it fails. */
  get manager(): EntityManager {
    return this.parts.typeorm.manager;
  }

  /** Which history this file belongs to and how far it has come. */
  get head(): LogHead {
    return this.parts.writer.head;
  }

  /** Names of the replicated tables, sorted. */
  get tables(): string[] {
    return [...this.parts.writer.layout.tables.keys()];
  }

  /** For the SQL console, which needs column names and places. */
  prepare(sql: string): StatementSync {
    return this.parts.reader.db.prepare(sql);
  }

  /**
   * What was written through any member before this call is seen by reads after it. A member that stands alone has nothing to wait
   * for.
   */
  async barrier(_ctx: RequestContext): Promise<void> {
    const { writer, applier } = this.parts;
    const latest = await writer.parts.log.latest();
    if (!latest || latest.index <= writer.head.index) return;
    await writer.mutex.run(() => applier.catchUp());
  }

  /** Entries of the log from index `from` on, as many as a reply holds; the log may have been trimmed before them. */
  async entries(from: number): Promise<readonly LogEntry[]> {
    const { writer } = this.parts;
    return writer.mutex.run(() => writer.parts.log.read(from));
  }

  /** Brings one entry of the log into this file. Throws `unavailable` with the reason in `details.reason` if it does not fit. */
  async apply(entry: LogEntry): Promise<void> {
    await this.parts.writer.mutex.run(() => this.parts.applier.apply(entry));
  }
}
