import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, newUuid, type RequestContext } from '#kernel';
import type { LogHead, ReplicatedLog } from '#platform/raft';
import type { Database } from './database.js';
import type { EntryApplier } from './entry-applier.js';
import { LocalLog } from './log/local-log.js';
import { OpenTransaction } from './open-transaction.js';
import { migrate, type Migrations } from './schema/migrator.js';
import { inspectSnapshot, replaceContents } from './snapshot.js';
import { readLayout } from './schema/layout.js';
import type { Tx } from './transaction.js';
import type { TypeOrmConnection } from './typeorm/typeorm-connection.js';
import type { Writer } from './writer.js';

const flushMs = 1000;

export interface ReplicaParts {
  readonly writer: Writer;
  readonly applier: EntryApplier;
  readonly database: Database;
  readonly typeorm: TypeOrmConnection;
  readonly migrations: Migrations;
  /** `<state>/database`, for files on their way in. */
  readonly directory: string;
  /** Makes an empty database in this directory and returns its file: what a member is reset to. */
  readonly makeEmpty: (directory: string) => Promise<string>;
}

/**
 * This member's file as one of several copies of the same history: exchanging the log it follows, and its whole content. Every exchange is one SQLite
 * transaction, so that a kill at any moment leaves the file before it or after it.
 */
export class Replica {
  private flushing: NodeJS.Timeout | undefined;
  private flushedIndex = 0;

  constructor(private readonly parts: ReplicaParts) {
    this.flushedIndex = parts.writer.head.index;
  }

  get head(): LogHead {
    return this.parts.writer.head;
  }

  /** Schema levels this program knows. */
  get knownLevel(): number {
    return this.parts.migrations.length;
  }

  /** Index up to which every row is safely on this member's disk (hazards C2). */
  get flushed(): number {
    return this.flushedIndex;
  }

  /** How the log of the cluster is reached, as it was saved; null when the member stands alone. */
  get settings(): string | null {
    return this.parts.writer.parts.state.clusterSettings;
  }

  async saveSettings(settings: string): Promise<void> {
    const { writer } = this.parts;
    await writer.mutex.run(() => writer.parts.state.saveClusterSettings(settings));
  }

  /** Follows `log` from where the file stands, which is in its history. */
  async follow(log: ReplicatedLog): Promise<void> {
    const { writer } = this.parts;
    await writer.mutex.run(() => {
      writer.log = log;
      // The log is what makes a commit durable now; this file only has to stay whole.
      writer.connection.exec('PRAGMA synchronous = NORMAL');
    });
    this.flushing ??= setInterval(() => void this.flush(), flushMs);
    this.flushing.unref();
  }

  /**
   * Begins history `incarnation` with the rows of this file and those `fill` writes. `prepare` makes the log, given where it begins; when it fails,
   * nothing has changed.
   */
  async begin(incarnation: string, settings: string, fill: (tx: Tx) => void, prepare: (head: LogHead) => Promise<ReplicatedLog>): Promise<void> {
    const { writer, typeorm } = this.parts;
    const log = await writer.mutex.run(async () => {
      await writer.begin(true);
      const session = writer.connection.db.createSession();
      let changeset: Uint8Array;
      const tx = new OpenTransaction({ connection: writer.connection, typeorm, layout: writer.layout }, writer.parts.clock.now());
      try {
        writer.guard.rowsOnly = true;
        fill(tx);
        writer.guard.rowsOnly = false;
        changeset = session.changeset();
        session.close();
        const head: LogHead = { ...writer.head, incarnation };
        const made = await prepare(head);
        writer.connection.run('DELETE FROM local_log');
        writer.parts.state.replace(head, settings);
        writer.connection.control('COMMIT').run();
        writer.parts.state.settle(head);
        writer.log = made;
        writer.parts.feed.publish(changeset);
        for (const hook of tx.hooks) hook();
        return made;
      } catch (error) {
        writer.rollback();
        throw error;
      } finally {
        tx.close();
      }
    });
    await this.follow(log);
  }

  /**
   * Replaces everything by the copy in `path`, which is removed, and goes on with `log` from there (null: alone). `exchanged` is called before anybody
   * reads the new content: whose rows are this member's may be told otherwise by it.
   * @throws `precondition` when the copy cannot be used; the file is then as before.
   */
  async install(path: string, settings: string | null, log: ReplicatedLog | null, exchanged: () => void = () => {}): Promise<void> {
    const { writer } = this.parts;
    const head = inspectSnapshot(path, this.knownLevel);
    try {
      await writer.mutex.run(() => this.exchange(path, head, settings, { log, exchanged }));
    } finally {
      for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
    }
    if (log) await this.follow(log);
    writer.parts.feed.reset();
  }

  /** An empty database that stands alone, with a history of its own. */
  async reset(exchanged: () => void = () => {}): Promise<void> {
    const folder = mkdtempSync(join(this.parts.directory, 'empty-'));
    try {
      this.stopFlushing();
      await this.install(await this.parts.makeEmpty(folder), null, null, exchanged);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Raises the schema to `level`, by entries of the log. Whoever else does the same at the moment wins or loses; both end there. */
  async raiseTo(_ctx: RequestContext, level: number): Promise<void> {
    const { writer, applier, migrations } = this.parts;
    await writer.mutex.run(async () => {
      await applier.catchUp();
      await migrate(writer, migrations.slice(0, level));
    });
  }

  stop(): void {
    this.stopFlushing();
  }

  private async exchange(path: string, head: LogHead, settings: string | null, { log, exchanged }: { log: ReplicatedLog | null; exchanged: () => void }): Promise<void> {
    const { writer } = this.parts;
    const { connection } = writer;
    connection.control('ATTACH DATABASE ? AS incoming').run(path);
    try {
      await writer.begin(false);
      replaceContents(connection);
      const layout = readLayout(connection);
      writer.parts.state.replace(head, settings);
      connection.control('COMMIT').run();
      exchanged();
      writer.parts.state.settle(head);
      writer.layout = layout;
      this.flushedIndex = 0;
      if (log) writer.log = log;
      else {
        connection.exec('PRAGMA synchronous = FULL');
        writer.log = new LocalLog(connection);
      }
    } catch (error) {
      writer.rollback();
      throw error;
    } finally {
      connection.exec('DETACH DATABASE incoming');
    }
  }

  /** One commit with `synchronous=FULL` fsyncs the whole WAL; what came before it is safe then (hazards C2). */
  private async flush(): Promise<void> {
    const { writer } = this.parts;
    const { connection } = writer;
    const index = writer.head.index;
    if (index === this.flushedIndex || connection.db.isTransaction) return;
    try {
      await writer.mutex.run(async () => {
        connection.exec('PRAGMA synchronous = FULL');
        try {
          await writer.begin(false);
          connection.control("INSERT INTO local_flush (id, mark) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET mark = excluded.mark").run(newUuid());
          connection.control('COMMIT').run();
        } finally {
          writer.rollback();
          connection.exec('PRAGMA synchronous = NORMAL');
        }
      });
      this.flushedIndex = index;
    } catch (error) {
      writer.parts.logger.warn('Failed flushing the database', { error: messageOf(error) });
    }
  }

  private stopFlushing(): void {
    clearInterval(this.flushing);
    this.flushing = undefined;
  }
}

