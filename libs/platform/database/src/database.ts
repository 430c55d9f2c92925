import type { StatementSync } from 'node:sqlite';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AppError, type RequestContext } from '#kernel';
import { sumContents, type ContentSums } from './content-sums.js';
import type { EntryApplier } from './entry-applier.js';
import { LogWitness } from './log-witness.js';
import type { LogEntry, LogHead } from '#platform/raft';
import type { SqliteConnection } from './sqlite-connection.js';
import { makeSnapshot } from './snapshot.js';
import type { Sql } from './sql.js';
import type { TypeOrmConnection } from './typeorm/typeorm-connection.js';
import type { Writer } from './writer.js';

/** Whether reads see everything that was acknowledged anywhere. */
export type Freshness = 'fresh' | 'stale';

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
  private looking: Promise<unknown> | null = null;
  private next: Promise<AppError | null> | null = null;

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
   * `fresh`: what was written through any member before this call is seen by reads after it. `stale`: no majority answers, and reads see what this
   * member had when one did. A member that stands alone has nothing to wait for.
   *
   * Calls that come while a look at the log is under way share the next one. Rejects when this member cannot apply what the log holds.
   */
  async barrier(_ctx: RequestContext): Promise<Freshness> {
    return (await this.reachHead()) === null ? 'fresh' : 'stale';
  }

  /** As `barrier`, for what must not rest on old rows. @throws `unavailable` with the reason when no majority answers. */
  async assertFresh(_ctx: RequestContext): Promise<void> {
    const silence = await this.reachHead();
    if (silence !== null) throw silence;
  }

  /** Null = everything is here; otherwise why the log does not answer. */
  private reachHead(): Promise<AppError | null> {
    // What was asked before this call may not have seen what was written before it.
    if (this.looking === null) return this.look();
    this.next ??= this.looking.then(() => this.look());
    return this.next;
  }

  /** Applies what the log holds beyond this file; for whoever hears that there is something, up to entry `upTo` at least. */
  async follow(upTo = Infinity): Promise<void> {
    const { writer, applier } = this.parts;
    if (writer.head.index >= upTo) return;
    await writer.mutex.run(async () => {
      // What was appended from here is applied by now.
      if (writer.head.index < upTo) await applier.catchUp(upTo);
    });
  }

  /** Applies entries that were heard of, in order; what is missing before them is read from the log. */
  async take(entries: readonly LogEntry[]): Promise<void> {
    const { writer, applier } = this.parts;
    if (writer.head.index >= (entries.at(-1)?.index ?? 0)) return;
    await writer.mutex.run(async () => {
      for (const entry of entries) {
        if (entry.index <= writer.head.index) continue;
        if (entry.index > writer.head.index + 1) await applier.catchUp(entry.index);
        else await applier.apply(entry);
      }
    });
  }

  /**
   * A consistent copy of the whole file as a file of its own, made off the event loop.
   * @param path must not exist.
   */
  async copyTo(path: string): Promise<void> {
    const { connection } = this.parts.writer;
    await makeSnapshot(connection.options.path, path);
  }

  /** Path of the file. */
  get file(): string {
    return this.parts.writer.connection.options.path;
  }

  /** What the tables hold and up to which entry, read off the event loop. */
  sum(): Promise<ContentSums> {
    return sumContents(this.file);
  }

  /**
   * Tables in which this file holds something else than what the entries that are still in the log have written. Rows they do not touch are not looked at.
   */
  async contradictions(): Promise<string[]> {
    const witness = new LogWitness();
    for (let next = 1; ;) {
      const entries = await this.entries(next);
      for (const entry of entries) witness.hear(entry);
      next = (entries.at(-1)?.index ?? next - 1) + 1;
      if (entries.length > 0) continue;
      await this.follow(next - 1);
      // Nothing comes between this look and the reading of the rows.
      if (this.head.index <= next - 1) return witness.contradictions(this.read, this.parts.writer.layout);
    }
  }

  private look(): Promise<AppError | null> {
    const { writer } = this.parts;
    const latest = writer.log.latest();
    if (latest === null) return Promise.resolve(null);
    const look = this.reach(latest).finally(() => {
      this.looking = null;
    });
    this.next = null;
    this.looking = look.catch(() => undefined);
    return look;
  }

  private async reach(latest: Promise<LogHead>): Promise<AppError | null> {
    const { writer } = this.parts;
    let head: LogHead;
    try {
      head = await latest;
    } catch (error) {
      if (!AppError.is(error, 'unavailable')) throw error;
      return error;
    }
    if (head.incarnation === writer.head.incarnation && head.index > writer.head.index) await this.follow(head.index);
    return null;
  }

  /** Entries of the log from index `from` on, as many as a reply holds; the log may have been trimmed before them. */
  async entries(from: number): Promise<readonly LogEntry[]> {
    const { writer } = this.parts;
    return writer.mutex.run(() => writer.log.read(from));
  }

  /** Brings one entry of the log into this file. Throws `unavailable` with the reason in `details.reason` if it does not fit. */
  async apply(entry: LogEntry): Promise<void> {
    await this.parts.writer.mutex.run(() => this.parts.applier.apply(entry));
  }
}
