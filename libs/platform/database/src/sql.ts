/** What a column holds. Integers come back as JavaScript numbers; one beyond 2^53 throws when it is read. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** Read access. Every call is one statement run to its end: nothing stays open, so nothing can live across an `await` (hazards C2). */
export interface Sql {
  all<T = Record<string, SqlValue>>(sql: string, ...params: SqlValue[]): T[];
  get<T = Record<string, SqlValue>>(sql: string, ...params: SqlValue[]): T | undefined;
}

/** Write access, handed out inside a transaction only. */
export interface SqlWriter extends Sql {
  run(sql: string, ...params: SqlValue[]): { changes: number };
}
