import { setTimeout as sleep } from 'node:timers/promises';
import { Mutex, type Clock, type LocalMember, type Logger } from '#kernel';
import type { ChangeFeed } from './change-feed.js';
import { sealEntry } from './log/entry-hash.js';
import type { LogEntry, LogHead, ReplicatedLog } from '#platform/raft';
import { readLayout, type Layout } from './schema/layout.js';
import type { LocalState } from './schema/local-state.js';
import type { SqliteConnection } from './sqlite-connection.js';
import { isBusy } from './sqlite-errors.js';
import { WriteGuard } from './write-guard.js';

/** How long to wait for another program (a backup, an administrator's `sqlite3`) to let go of the file, asking now and then. */
const lockPatienceMs = 1000;
const lockPollMs = 10;

export interface WriterParts {
  readonly connection: SqliteConnection;
  readonly state: LocalState;
  /** The one to begin with. */
  readonly log: ReplicatedLog;
  readonly feed: ChangeFeed;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Its number stands in the entries it writes. */
  readonly member: LocalMember;
}

/**
 * The one write connection, and the one mutex over everything that writes the file: transactions, applied entries, migrations
 * (hazards C1). Whoever holds the mutex opens a transaction with `begin` and ends it with `commit` or `rollback`.
 */
export class Writer {
  readonly mutex = new Mutex();
  readonly guard: WriteGuard;
  layout: Layout;
  /** Where entries go; another one once the member joins a cluster or leaves it. */
  log: ReplicatedLog;
  private foreignKeys = true;

  constructor(readonly parts: WriterParts) {
    this.guard = new WriteGuard(parts.connection.db);
    this.layout = readLayout(parts.connection);
    this.log = parts.log;
  }

  get head(): LogHead {
    return this.parts.state.head;
  }

  get connection(): SqliteConnection {
    return this.parts.connection;
  }

  /** Foreign keys cannot be switched inside a transaction, so it is chosen here. Waits for a lock without holding up the loop. */
  async begin(foreignKeys: boolean): Promise<void> {
    const { connection } = this.parts;
    if (connection.db.isTransaction) this.rollback();
    if (foreignKeys !== this.foreignKeys) {
      // Takes effect when it is compiled, and makes every prepared statement be compiled again: so not through the cache, and rarely.
      connection.exec(`PRAGMA foreign_keys = ${foreignKeys ? 'ON' : 'OFF'}`);
      this.foreignKeys = foreignKeys;
    }
    for (let waitedMs = 0; ; waitedMs += lockPollMs) {
      try {
        connection.control('BEGIN IMMEDIATE').run();
        return;
      } catch (error) {
        if (!isBusy(error) || waitedMs >= lockPatienceMs) throw error;
        await sleep(lockPollMs);
      }
    }
  }

  rollback(): void {
    this.guard.rowsOnly = false;
    if (this.connection.db.isTransaction) this.connection.control('ROLLBACK').run();
  }

  /** The entry that would follow the head. */
  sealNext(fields: Pick<LogEntry, 'id' | 'requestor' | 'kind' | 'payload'>): LogEntry {
    const { incarnation, index, hash, level } = this.head;
    return sealEntry({
      ...fields, incarnation, index: index + 1, previous: hash, level, layoutHash: this.layout.hash,
      time: this.parts.clock.now().toISOString(), member: this.parts.member.id,
    });
  }

  /** Writes the new place in the log and commits it with the rows. */
  commit(next: LogHead | null): void {
    if (next) this.parts.state.advance(next);
    this.connection.control('COMMIT').run();
    if (next) this.parts.state.settle(next);
  }

}

export function headAfter(entry: LogEntry, level = entry.level): LogHead {
  return { incarnation: entry.incarnation, index: entry.index, hash: entry.hash, level };
}
