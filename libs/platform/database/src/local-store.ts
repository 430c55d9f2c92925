import { Injectable } from '@nestjs/common';
import { SqliteConnection, type ConnectionOptions } from './sqlite-connection.js';
import { describeFailure, isDiskFull } from './sqlite-errors.js';

/**
 * `config` is the bucket of this member's own settings under LXD's name; `raft_nodes` is where administrators look for the voters
 * (empty on a member that stands alone).
 */
const schema = `
CREATE TABLE IF NOT EXISTS entries (bucket TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (bucket, key));
CREATE TABLE IF NOT EXISTS raft_nodes (id INTEGER NOT NULL PRIMARY KEY, address TEXT NOT NULL UNIQUE, role INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL DEFAULT '');
CREATE VIEW IF NOT EXISTS config (id, key, value) AS SELECT rowid, key, value FROM entries WHERE bucket = 'config';
CREATE TRIGGER IF NOT EXISTS config_insert INSTEAD OF INSERT ON config BEGIN
  INSERT INTO entries (bucket, key, value) VALUES ('config', NEW.key, NEW.value) ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value;
END;
CREATE TRIGGER IF NOT EXISTS config_update INSTEAD OF UPDATE ON config BEGIN
  UPDATE entries SET key = NEW.key, value = NEW.value WHERE bucket = 'config' AND key = OLD.key;
END;
CREATE TRIGGER IF NOT EXISTS config_delete INSTEAD OF DELETE ON config BEGIN
  DELETE FROM entries WHERE bucket = 'config' AND key = OLD.key;
END;
`;

/**
 * What belongs to this member alone and is never replicated: its listen addresses, what it observed on its host. Key/value tables
 * ("buckets") of text in database/local.db. Every write is durable when it returns, so it costs one fsync.
 */
@Injectable()
export class LocalStore {
  /** For the SQL console. */
  readonly connection: SqliteConnection;

  private readonly makeRoom: () => boolean;

  /** `makeRoom` is asked once when the disk is full: true = there is room now. */
  constructor(private readonly directory: string, options: Pick<ConnectionOptions, 'synchronous'> & { readonly makeRoom?: () => boolean } = {}) {
    this.makeRoom = options.makeRoom ?? (() => false);
    this.connection = new SqliteConnection({ path: `${directory}/local.db`, synchronous: options.synchronous });
    this.connection.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`);
  }

  get(bucket: string, key: string): string | undefined {
    return this.connection.get<{ value: string }>('SELECT value FROM entries WHERE bucket = ? AND key = ?', bucket, key)?.value;
  }

  all(bucket: string): Map<string, string> {
    const rows = this.connection.all<{ key: string; value: string }>('SELECT key, value FROM entries WHERE bucket = ? ORDER BY key', bucket);
    return new Map(rows.map(({ key, value }) => [key, value]));
  }

  /** Null removes the key. */
  set(bucket: string, key: string, value: string | null): void {
    this.setMany(bucket, new Map([[key, value]]));
  }

  /** All or nothing. Throws `unavailable` when the disk is full. */
  setMany(bucket: string, entries: ReadonlyMap<string, string | null> | Readonly<Record<string, string | null>>): void {
    const pairs = entries instanceof Map ? [...entries] : Object.entries(entries as Record<string, string | null>);
    try {
      this.write(bucket, pairs);
    } catch (error) {
      if (!isDiskFull(error, this.directory) || !this.makeRoom()) throw describeFailure(error, this.directory);
      this.write(bucket, pairs);
    }
  }

  private write(bucket: string, pairs: readonly [string, string | null][]): void {
    const { connection } = this;
    connection.exec('BEGIN IMMEDIATE');
    try {
      for (const [key, value] of pairs) {
        if (value === null) connection.run('DELETE FROM entries WHERE bucket = ? AND key = ?', bucket, key);
        else connection.run('INSERT INTO entries (bucket, key, value) VALUES (?, ?, ?) ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value', bucket, key, value);
      }
      connection.exec('COMMIT');
    } finally {
      if (connection.db.isTransaction) connection.exec('ROLLBACK');
    }
  }

  close(): void {
    this.connection.close();
  }
}
