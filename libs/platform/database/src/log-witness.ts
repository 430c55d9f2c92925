import type { LogEntry } from '#platform/raft';
import { ChangesetParser, type ChangedValue } from './log/changeset-parser.js';
import type { Layout } from './schema/layout.js';
import type { Sql, SqlValue } from './sql.js';

/** A row as the entries leave it: by column, as far as they say; null = it is gone. */
interface LoggedRow {
  readonly key: readonly SqlValue[];
  readonly values: readonly ChangedValue[] | null;
}

/** What a stretch of the log says the rows must hold that it touches. */
export class LogWitness {
  private readonly tables = new Map<string, Map<string, LoggedRow>>();

  hear(entry: LogEntry): void {
    // Columns may have another meaning after it.
    if (entry.kind === 'level') return this.tables.clear();
    for (const { table, op, key, after } of new ChangesetParser(entry.payload).parse()) {
      const rows = this.tables.get(table) ?? new Map<string, LoggedRow>();
      this.tables.set(table, rows);
      const name = JSON.stringify(key.map(textOf));
      const known = rows.get(name)?.values ?? [];
      rows.set(name, { key, values: op === 'delete' ? null : op === 'insert' ? after : merged(known, after ?? []) });
    }
  }

  /** Tables in which a file that stands right behind the last entry holds something else. */
  contradictions(sql: Sql, layout: Layout): string[] {
    return [...this.tables].filter(([table, rows]) => {
      const columns = layout.tables.get(table);
      return columns !== undefined && [...rows.values()].some((row) => !agrees(sql, table, columns, row));
    }).map(([table]) => table).sort();
  }
}

function agrees(sql: Sql, table: string, columns: readonly { readonly name: string; readonly pk: number }[], { key, values }: LoggedRow): boolean {
  const keyColumns = columns.filter(({ pk }) => pk > 0).toSorted((a, b) => a.pk - b.pk);
  const row = sql.get<Record<string, SqlValue>>(`SELECT * FROM "${table}" WHERE ${keyColumns.map(({ name }) => `"${name}" IS ?`).join(' AND ')}`, ...key);
  if (row === undefined || values === null) return row === undefined && values === null;
  return columns.every(({ name }, at) => values[at] === undefined || textOf(row[name] ?? null) === textOf(values[at]));
}

function merged(known: readonly ChangedValue[], after: readonly ChangedValue[]): ChangedValue[] {
  return Array.from({ length: Math.max(known.length, after.length) }, (_, at) => (after[at] === undefined ? known[at] : after[at]));
}

/** Equal for equal values, however they were read. */
function textOf(value: SqlValue): string {
  if (value === null) return 'null';
  return value instanceof Uint8Array ? `x${Buffer.from(value).toString('hex')}` : `${typeof value === 'string' ? 's' : 'n'}${String(value)}`;
}
