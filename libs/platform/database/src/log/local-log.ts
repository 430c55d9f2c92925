import type { SqliteConnection } from '../sqlite-connection.js';
import { ReplicatedLog, type AppendResult, type LogEntry, type LogHead } from '#platform/raft';

export interface LocalLogLimits {
  readonly entries: number;
  readonly bytes: number;
}

const defaultLimits: LocalLogLimits = { entries: 10_000, bytes: 32 * 1024 * 1024 };
/** Trimming goes in strides, so that most transactions pay nothing for it. */
const trimStride = 64;
const readEntries = 256;

export const localLogSchema = `
CREATE TABLE IF NOT EXISTS local_log (
  idx INTEGER NOT NULL PRIMARY KEY,
  incarnation TEXT NOT NULL, id TEXT NOT NULL, time TEXT NOT NULL, member INTEGER NOT NULL, requestor TEXT NOT NULL,
  level INTEGER NOT NULL, layout TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL
);`;

const insertEntry = `INSERT INTO local_log (idx, incarnation, id, time, member, requestor, level, layout, previous, hash, kind, payload)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

interface Row {
  idx: number; incarnation: string; id: string; time: string; member: number; requestor: string;
  level: number; layout: string; previous: string; hash: string; kind: 'rows' | 'level'; payload: Uint8Array;
}

/**
 * The log of a member that stands alone: a table beside the rows, written in the same transaction. So an entry is in the log exactly
 * when its rows are in the tables, and no append ever loses.
 */
export class LocalLog extends ReplicatedLog {
  private bytes: number;
  private entries: number;

  constructor(private readonly connection: SqliteConnection, private readonly limits: LocalLogLimits = defaultLimits) {
    super();
    const size = connection.get<{ n: number; bytes: number | null }>('SELECT count(*) AS n, sum(length(payload)) AS bytes FROM local_log');
    this.entries = size?.n ?? 0;
    this.bytes = size?.bytes ?? 0;
  }

  override append(_head: LogHead, entry: LogEntry): AppendResult {
    this.connection.control(insertEntry).run(
      entry.index, entry.incarnation, entry.id, entry.time, entry.member, entry.requestor, entry.level, entry.layoutHash, entry.previous, entry.hash, entry.kind, entry.payload,
    );
    this.entries++;
    this.bytes += entry.payload.length;
    if (entry.index % trimStride === 0) this.trim();
    return { appended: true };
  }

  override read(from: number): LogEntry[] {
    const rows = this.connection.all<Row>('SELECT * FROM local_log WHERE idx >= ? ORDER BY idx LIMIT ?', from, readEntries);
    return rows.map(({ idx, layout, ...row }) => ({ ...row, index: idx, layoutHash: layout }));
  }

  override latest(): null {
    return null;
  }

  /** A rolled back transaction leaves these figures too high at worst, which trims early; they are read again each time. */
  private trim(): void {
    if (this.entries <= this.limits.entries && this.bytes <= this.limits.bytes) return;
    const cut = this.connection.get<{ idx: number | null }>(
      `SELECT max(idx) AS idx FROM (SELECT idx, row_number() OVER newest AS n, sum(length(payload)) OVER newest AS bytes
         FROM local_log WINDOW newest AS (ORDER BY idx DESC)) WHERE n > ? OR bytes > ?`, this.limits.entries, this.limits.bytes);
    if (cut?.idx !== null && cut?.idx !== undefined) this.connection.control('DELETE FROM local_log WHERE idx <= ?').run(cut.idx);
    const size = this.connection.get<{ n: number; bytes: number | null }>('SELECT count(*) AS n, sum(length(payload)) AS bytes FROM local_log');
    this.entries = size?.n ?? 0;
    this.bytes = size?.bytes ?? 0;
  }
}
