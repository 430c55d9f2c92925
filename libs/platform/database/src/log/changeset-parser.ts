import { assert } from '#kernel';
import type { SqlValue } from '../sql.js';

/** A value of a changed row; undefined = the changeset does not say (an update names its key and what changed). */
export type ChangedValue = SqlValue | undefined;

export interface ParsedChange {
  readonly table: string;
  readonly op: 'insert' | 'update' | 'delete';
  /** Values of the primary key, in the order of the key. */
  readonly key: SqlValue[];
  /** By column, before; null for an insert. */
  readonly before: ChangedValue[] | null;
  /** By column, after; null for a delete. */
  readonly after: ChangedValue[] | null;
}

const tableMark = 0x54;
const insertOp = 18;
const updateOp = 23;
const deleteOp = 9;
const decoder = new TextDecoder();

/**
 * Reads the binary changeset of SQLite's session extension; the format is described in sqlite3session.c, "CHANGESET BLOB FORMAT".
 * Tables for which `wanted` is false are walked over without making objects of their rows.
 */
export class ChangesetParser {
  private offset = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  parse(wanted: (table: string) => boolean = () => true): ParsedChange[] {
    const changes: ParsedChange[] = [];
    let table = '';
    let keyOrder: number[] = [];
    let columns = 0;
    let keep = false;
    while (this.offset < this.bytes.length) {
      const mark = this.bytes[this.offset++];
      if (mark === tableMark) {
        columns = this.varint();
        keyOrder = keyColumns(this.bytes.subarray(this.offset, this.offset + columns));
        this.offset += columns;
        table = this.nulTerminated();
        keep = wanted(table);
        continue;
      }
      const op = mark === insertOp ? 'insert' : mark === deleteOp ? 'delete' : 'update';
      assert(op !== 'update' || mark === updateOp, `changeset with unknown mark ${mark}`);
      this.offset++; // "indirect": whether a trigger did it
      const before = op === 'insert' ? null : this.record(columns, keep);
      const after = op === 'delete' ? null : this.record(columns, keep);
      if (keep) changes.push({ table, op, before, after, key: keyOrder.map((column) => (before ?? after)?.[column] ?? null) });
    }
    return changes;
  }

  private record(columns: number, keep: boolean): ChangedValue[] | null {
    if (!keep) {
      for (let column = 0; column < columns; column++) this.skipValue();
      return null;
    }
    const values: ChangedValue[] = [];
    for (let column = 0; column < columns; column++) values.push(this.value());
    return values;
  }

  private value(): ChangedValue {
    const type = this.bytes[this.offset++];
    switch (type) {
      case 0: return undefined;
      case 1: {
        const integer = this.view.getBigInt64(this.offset);
        this.offset += 8;
        const number = Number(integer);
        return Number.isSafeInteger(number) ? number : integer;
      }
      case 2:
        this.offset += 8;
        return this.view.getFloat64(this.offset - 8);
      case 3: return decoder.decode(this.blob());
      case 4: return this.blob().slice();
      default:
        assert(type === 5, `changeset with unknown value type ${type}`);
        return null;
    }
  }

  private skipValue(): void {
    const type = this.bytes[this.offset++];
    if (type === 1 || type === 2) this.offset += 8;
    else if (type === 3 || type === 4) this.blob();
  }

  private blob(): Uint8Array {
    const length = this.varint();
    this.offset += length;
    return this.bytes.subarray(this.offset - length, this.offset);
  }

  private nulTerminated(): string {
    const end = this.bytes.indexOf(0, this.offset);
    const text = decoder.decode(this.bytes.subarray(this.offset, end));
    this.offset = end + 1;
    return text;
  }

  /** SQLite's: seven bits a byte, the highest first. Nine-byte ones cannot occur, since lengths stay below 2^31. */
  private varint(): number {
    let value = 0;
    for (;;) {
      const byte = this.bytes[this.offset++] ?? 0;
      value = value * 128 + (byte & 0x7f);
      if (byte < 0x80) return value;
    }
  }
}

/** The flag of a column is 0, or its place in the key counted from 1. */
function keyColumns(flags: Uint8Array): number[] {
  return [...flags.entries()].filter(([, flag]) => flag > 0).sort((a, b) => a[1] - b[1]).map(([column]) => column);
}
