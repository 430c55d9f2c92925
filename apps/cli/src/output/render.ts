import { invalid } from '#kernel';
import { toJson } from './json.js';
import { asCompact, asCsv, asTable } from './table.js';
import { toYaml } from './yaml.js';

/**
 * A list in the format asked for: cells for people and spreadsheets, `data` for programs.
 * Throws `invalid` for a format that is none.
 */
export function renderList(format: string, header: readonly string[], rows: readonly (readonly string[])[], data: unknown): string {
  switch (format) {
    case 'table': return asTable(header, rows);
    case 'compact': return asCompact(header, rows);
    case 'csv': return asCsv(rows);
    case 'json': return `${toJson(data)}\n`;
    case 'yaml': return toYaml(data);
    default: throw invalid(`Invalid format "${format}"`);
  }
}

/** Rows ordered by their first column that differs; empty cells come last. */
export function sortRows<T extends readonly string[]>(rows: T[]): T[] {
  return rows.sort((a, b) => {
    for (let column = 0; column < a.length; column++) {
      const [left, right] = [a[column] ?? '', b[column] ?? ''];
      if (left === right) continue;
      if (left === '') return 1;
      if (right === '') return -1;
      return byNumbers(left, right);
    }
    return 0;
  });
}

/** Digits by their number and before anything else (`a2`, `a10`, `a-1`), the rest letter by letter. */
export function byNumbers(a: string, b: string): number {
  const parts = (text: string): string[] => text.match(/\d+|\D/gu) ?? [];
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [l, r] = [left[i]!, right[i]!];
    if (l === r) continue;
    const [digitsL, digitsR] = [/^\d/.test(l), /^\d/.test(r)];
    if (digitsL !== digitsR) return digitsL ? -1 : 1;
    if (!digitsL) return l < r ? -1 : 1;
    if (BigInt(l) !== BigInt(r)) return BigInt(l) < BigInt(r) ? -1 : 1;
    return l.length - r.length;
  }
  return left.length - right.length;
}
