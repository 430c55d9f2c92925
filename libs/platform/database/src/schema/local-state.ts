import { internal, randomHex } from '#kernel';
import type { LogHead } from '#platform/raft';
import type { SqliteConnection } from '../sqlite-connection.js';

const schema = `
CREATE TABLE IF NOT EXISTS local_state (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  incarnation TEXT NOT NULL, applied INTEGER NOT NULL, hash TEXT NOT NULL, level INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS local_flush (id INTEGER NOT NULL PRIMARY KEY, mark TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS local_cluster (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), settings TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS local_levels (level INTEGER NOT NULL PRIMARY KEY, hash TEXT NOT NULL, applied INTEGER NOT NULL, time TEXT NOT NULL);
`;

/**
 * Where this file stands in the history, kept in the same transaction as the rows (hazards A2) and after their session is closed
 * (hazards C6: inside it the row would be in every changeset).
 */
export class LocalState {
  private current: LogHead;

  /** In a file without one, a new history begins, or the one that is named. */
  constructor(private readonly connection: SqliteConnection, incarnation = randomHex(16)) {
    connection.exec(schema);
    connection.run("INSERT OR IGNORE INTO local_state (id, incarnation, applied, hash, level) VALUES (1, ?, 0, '', 0)", incarnation);
    const row = connection.get<LogHead>('SELECT incarnation, applied AS "index", hash, level FROM local_state');
    if (!row) throw internal('The database has lost its place in the log');
    this.current = { ...row };
  }

  get head(): LogHead {
    return this.current;
  }

  /** Writes the new place. It counts only once `settle` was called after the commit. */
  advance(next: LogHead): void {
    const { changes } = this.connection.control('UPDATE local_state SET applied = ?, hash = ?, level = ? WHERE id = 1 AND incarnation = ? AND applied = ? AND hash = ?').run(
      next.index, next.hash, next.level, this.current.incarnation, this.current.index, this.current.hash);
    if (changes !== 1) throw internal('The database was changed by another program while this one was running: restart to read it again');
  }

  /**
   * Takes another place in another history, inside an open transaction: with the rows it belongs to, and with how the log is reached from here
   * (null: this member stands alone). It counts only once `settle` was called after the commit.
   */
  replace(next: LogHead, clusterSettings: string | null): void {
    this.connection.run('UPDATE local_state SET incarnation = ?, applied = ?, hash = ?, level = ? WHERE id = 1', next.incarnation, next.index, next.hash, next.level);
    this.saveClusterSettings(clusterSettings);
  }

  /** What the member needs to reach the log of its cluster, JSON; null when it stands alone. */
  get clusterSettings(): string | null {
    return this.connection.get<{ settings: string }>('SELECT settings FROM local_cluster')?.settings ?? null;
  }

  saveClusterSettings(settings: string | null): void {
    if (settings === null) this.connection.run('DELETE FROM local_cluster');
    else this.connection.run('INSERT INTO local_cluster (id, settings) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET settings = excluded.settings', settings);
  }

  settle(next: LogHead): void {
    this.current = next;
  }

  levels(): Map<number, string> {
    const rows = this.connection.all<{ level: number; hash: string }>('SELECT level, hash FROM local_levels');
    return new Map(rows.map(({ level, hash }) => [level, hash]));
  }

  recordLevel(level: number, hash: string, applied: number, time: string): void {
    this.connection.run('INSERT INTO local_levels (level, hash, applied, time) VALUES (?, ?, ?, ?)', level, hash, applied, time);
  }
}
