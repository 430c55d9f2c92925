import { createHash } from 'node:crypto';
import { internal } from '#kernel';
import type { Sql } from '../sql.js';

/** Tables of bookkeeping that belong to this member alone start so, and are in no changeset. */
export const localPrefix = 'local_';

interface Column {
  readonly name: string;
  readonly notnull: number;
  /** Place in the primary key, from 1; 0 = not in it. */
  readonly pk: number;
}

/** The replicated tables as they are in the file. */
export interface Layout {
  readonly tables: ReadonlyMap<string, readonly Column[]>;
  /** Names, order and keys of all columns; entries fit only where this is equal (hazards A1). */
  readonly hash: string;
}

/** Reads the layout and refuses one that changesets cannot carry (architecture 3, "What changesets ask of the schema"). */
export function readLayout(sql: Sql): Layout {
  const objects = sql.all<{ type: string; name: string; tbl_name: string; sql: string }>('SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name');
  const replicated = objects.filter(({ type, name }) => type === 'table' && !name.startsWith('sqlite_') && !name.startsWith(localPrefix));
  const tables = new Map<string, Column[]>();
  for (const { name, sql: text } of replicated) {
    const columns = sql.all<Column>('SELECT name, "notnull", pk FROM pragma_table_xinfo(?) ORDER BY cid', name);
    const key = columns.filter(({ pk }) => pk > 0);
    if (key.length === 0 || key.some(({ notnull }) => notnull === 0)) throw internal(`Table "${name}" needs a primary key that is NOT NULL`);
    if (/\bAUTOINCREMENT\b/i.test(text)) throw internal(`Table "${name}" has AUTOINCREMENT, whose counter is not replicated`);
    tables.set(name, columns);
  }
  const trigger = objects.find(({ type, tbl_name }) => type === 'trigger' && tables.has(tbl_name));
  if (trigger) throw internal(`Trigger "${trigger.name}" on table "${trigger.tbl_name}" would fire again when an entry is applied`);
  const canonical = [...tables].map(([name, columns]) => [name, columns.map(({ name: column, pk }) => [column, pk])]);
  return { tables, hash: createHash('sha256').update(JSON.stringify(canonical)).digest('hex') };
}
