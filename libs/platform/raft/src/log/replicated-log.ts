/** Where a history stands. All four are compared by an append (hazards A2). */
export interface LogHead {
  /** Random id of this history: new at bootstrap, at `cluster enable`, at a recovery. */
  readonly incarnation: string;
  /** Of the last entry; 0 = none yet. */
  readonly index: number;
  /** Of the last entry, hex; empty = none yet. */
  readonly hash: string;
  /** Schema level reached. */
  readonly level: number;
}

/** One entry of the log: the rows changed by one or more committed transactions, or a step of the schema. */
export interface LogEntry {
  readonly incarnation: string;
  readonly index: number;
  /** Random; tells whether an append whose answer was lost went in. */
  readonly id: string;
  /** RFC 3339, of the member that wrote it. */
  readonly time: string;
  /** Number of the member that wrote it. */
  readonly member: number;
  /** Who asked, as `protocol:username`, several separated by commas. */
  readonly requestor: string;
  /** Schema level the entry was made at. */
  readonly level: number;
  /** Hash of the table layout it was made with (hazards A1). */
  readonly layoutHash: string;
  /** Hash of the entry before. */
  readonly previous: string;
  /** Over everything above and the payload. */
  readonly hash: string;
  readonly kind: 'rows' | 'level';
  /** `rows`: an SQLite changeset. `level`: JSON of `LevelPayload`. */
  readonly payload: Uint8Array;
}

/** The payload of a `level` entry. The SQL text itself comes from the program; the hash says which one is meant. */
export interface LevelPayload {
  readonly level: number;
  readonly sqlHash: string;
  /** Layout hash after it. */
  readonly layoutHash: string;
}

export type AppendResult = { readonly appended: true } | { readonly appended: false; readonly head: LogHead };

/**
 * The one order in which transactions happened. Standalone it is a table of the same file; in a cluster, keys in etcd.
 *
 * `append` is a compare-and-set on the whole head. It resolves only once the entry is as durable as it will be; a rejection means
 * that the outcome is unknown, and the writer settles it by reading. Only `invalid` says that it was never sent.
 */
export abstract class ReplicatedLog {
  /** Put `entry` if the log still ends where `head` says. Called inside the local transaction, after its session was closed. */
  abstract append(head: LogHead, entry: LogEntry): AppendResult | Promise<AppendResult>;
  /** What was being written after a lost append was given up: nothing follows from this member now. */
  abandon(): void {}
  /** Entries from index `from` on, contiguous, as many as fit in a reply; empty when there is none. */
  abstract read(from: number): readonly LogEntry[] | Promise<readonly LogEntry[]>;
  /** Where the log ends, seen linearizably. Null when that is always where this member stands (standalone). */
  abstract latest(): Promise<LogHead> | null;
}
