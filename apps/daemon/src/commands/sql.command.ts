import { invalid } from '#kernel';
import type { Api } from './init/api.js';

interface QueryResult {
  readonly type: string;
  readonly columns: string[];
  readonly rows: (string | number | null)[][];
  readonly rows_affected: number;
}

/** Runs `roostd sql`: prints to `write` what LXD's prints, tables and all. */
export async function runSql(api: Api, database: string, query: string, write: (text: string) => void): Promise<void> {
  if (database !== 'local' && database !== 'global') throw invalid('Invalid database type');
  if (query === '.dump' || query === '.schema') {
    const dump = await api.get<{ text: string }>(`/internal/sql?database=${database}&schema=${query === '.schema' ? 1 : 0}`);
    write(dump.text);
    return;
  }
  const { results } = await api.post<{ results: QueryResult[] }>('/internal/sql', { database, query });
  results.forEach((result, index) => {
    if (results.length > 1) write(`=> Query ${index}:\n\n`);
    if (result.type === 'select') write(renderTable(result.columns, result.rows));
    else write(`Rows affected: ${result.rows_affected}\n`);
    if (results.length > 1) write('\n');
  });
}

/** A table drawn as LXD's client draws it: left-aligned cells, a rule after the header and after the last row. */
export function renderTable(columns: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (cell === null ? '<nil>' : String(cell))));
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((row) => row[i]!.length)));
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+\n`;
  const line = (row: readonly string[]): string => `|${row.map((cell, i) => ` ${cell.padEnd(widths[i]!)} `).join('|')}|\n`;
  const header = `|${columns.map((column, i) => ` ${centered(column, widths[i]!)} `).join('|')}|\n`;
  return `${rule}${header}${rule}${cells.map(line).join('')}${rule}`;
}

function centered(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return ' '.repeat(left) + text + ' '.repeat(width - text.length - left);
}
