import { AppError, unavailable } from '#kernel';
import { hashEntry } from './log/entry-hash.js';
import type { LevelPayload, LogEntry } from '#platform/raft';
import { migrationByLevel, runMigration, sqlHash, type Migrations } from './schema/migrator.js';
import { headAfter, type Writer } from './writer.js';

/** Why an entry was refused; what to do about it differs (`level`: upgrade this member; all others: fetch a snapshot). */
export type RefusalReason = 'incarnation' | 'index' | 'previous' | 'hash' | 'level' | 'layout' | 'unknown-table' | 'conflict' | 'unknown-level';

function refuse(entry: LogEntry, reason: RefusalReason, message: string): AppError {
  return unavailable(`Refused entry ${entry.index} of the log: ${message}`, { details: { reason, index: entry.index } });
}

/**
 * Brings entries written elsewhere into this file. `applyChangeset` answers true for much that does not fit (hazards A1) and knows
 * nothing of histories (A2), so everything is compared before, and an entry that does not fit leaves the file untouched.
 *
 * Callers hold the writer's mutex.
 */
export class EntryApplier {
  constructor(private readonly writer: Writer, private readonly migrations: Migrations) {}

  /** Throws `unavailable` with `details.reason`, a `RefusalReason`. */
  async apply(entry: LogEntry): Promise<void> {
    this.check(entry);
    if (entry.kind === 'level') await this.applyLevel(entry);
    else await this.applyRows(entry);
  }

  /** What the log has beyond this file: everything, or up to entry `upTo` at least. Returns the ids of what was applied. */
  async catchUp(upTo = Infinity): Promise<Set<string>> {
    const applied = new Set<string>();
    for (;;) {
      // A read of the log costs a round through its voters.
      if (this.writer.head.index >= upTo) return applied;
      const entries = await this.writer.log.read(this.writer.head.index + 1);
      if (entries.length === 0) return applied;
      for (const entry of entries) {
        await this.apply(entry);
        applied.add(entry.id);
      }
    }
  }

  private check(entry: LogEntry): void {
    const { head, layout } = this.writer;
    if (entry.incarnation !== head.incarnation) throw refuse(entry, 'incarnation', `it belongs to history ${entry.incarnation}, the database to ${head.incarnation}`);
    if (entry.index !== head.index + 1) throw refuse(entry, 'index', `the database stands at ${head.index}`);
    if (entry.previous !== head.hash) throw refuse(entry, 'previous', 'the entry before it is another one than the database has applied');
    if (hashEntry(entry) !== entry.hash) throw refuse(entry, 'hash', 'its content does not match its hash');
    if (entry.level !== head.level) throw refuse(entry, 'level', `it was made at schema level ${entry.level}, the database is at ${head.level}`);
    if (entry.layoutHash !== layout.hash) throw refuse(entry, 'layout', 'it was made with tables of another layout');
  }

  private async applyRows(entry: LogEntry): Promise<void> {
    const { writer } = this;
    // Cascades are in the changeset already; doing them twice would be a conflict.
    await writer.begin(false);
    try {
      // Kept and thrown afterwards: Node 26.10 swallows what a filter throws once the connection has an authorizer.
      let unknown: string | null = null;
      const filter = (table: string): boolean => {
        const known = writer.layout.tables.has(table);
        if (!known) unknown ??= table;
        return known;
      };
      const fits = writer.connection.db.applyChangeset(entry.payload, { filter });
      if (unknown !== null) throw refuse(entry, 'unknown-table', `it changes table "${unknown}", which is not replicated here`);
      if (!fits) throw refuse(entry, 'conflict', 'a row it changes is not as it was where the entry was made');
      writer.commit(headAfter(entry));
    } catch (error) {
      writer.rollback();
      throw error;
    }
    writer.parts.feed.publish(entry.payload);
  }

  private async applyLevel(entry: LogEntry): Promise<void> {
    const payload = JSON.parse(new TextDecoder().decode(entry.payload)) as LevelPayload;
    const migration = migrationByLevel(this.migrations, payload.level);
    if (!migration || sqlHash(migration) !== payload.sqlHash) {
      throw refuse(entry, 'unknown-level', `it raises the schema to level ${payload.level} in a way this program does not know: upgrade it first`);
    }
    await this.writer.begin(false);
    try {
      const layout = runMigration(this.writer.connection, migration);
      if (layout.hash !== payload.layoutHash) throw refuse(entry, 'layout', `schema level ${payload.level} gave tables of another layout here`);
      this.writer.parts.state.recordLevel(migration.level, payload.sqlHash, entry.index, entry.time);
      this.writer.commit(headAfter(entry, payload.level));
      this.writer.layout = layout;
    } catch (error) {
      this.writer.rollback();
      throw error;
    }
  }
}
