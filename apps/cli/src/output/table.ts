/** What makes letters bold or coloured. */
const attributes = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

/** Columns a terminal uses for a text: none for what combines with the letter before, two for East Asian letters and pictures. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const letter of text.replaceAll(attributes, '')) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(letter)) continue;
    width += /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(letter) ? 2 : 1;
  }
  return width;
}

/** A table with rules between all rows, headings in the middle of their columns. */
export function asTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(header, rows);
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+\n`;
  const body = rows.map((row) => lines(row, widths).map((line) => `|${line.join('|')}|\n`).join('') + rule);
  return `${rule}|${centred(header, widths).join('|')}|\n${rule}${body.join('')}`;
}

/** The same without any rules. */
export function asCompact(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(header, rows);
  return [centred(header, widths), ...rows.flatMap((row) => lines(row, widths))].map((line) => ` ${line.join('')} \n`).join('');
}

export function asCsv(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.map((cell) => (/[",\r\n]|^\s|^\\\.$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')}\n`).join('');
}

function title(text: string): string {
  const letters = [...text];
  const plain = (letter: string | undefined): boolean => letter !== undefined && /[0-9 ]/.test(letter);
  const spaced = letters.map((letter, index) => {
    if (letter === '_') return ' ';
    if (letter !== '.') return letter;
    return (index !== 0 && !plain(letters[index - 1])) || (index !== letters.length - 1 && !plain(letters[index + 1])) ? ' ' : letter;
  });
  return spaced.join('').trim().toUpperCase();
}

function columnWidths(header: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return header.map((name, column) => {
    let width = displayWidth(title(name));
    for (const row of rows) for (const line of (row[column] ?? '').split('\n')) width = Math.max(width, displayWidth(line));
    return width;
  });
}

function centred(header: readonly string[], widths: readonly number[]): string[] {
  return header.map((name, column) => {
    const text = title(name);
    const gap = widths[column]! - displayWidth(text);
    const left = Math.floor(gap / 2);
    return ` ${' '.repeat(left)}${text}${' '.repeat(gap - left)} `;
  });
}

/** A row takes as many lines as its tallest cell. */
function lines(row: readonly string[], widths: readonly number[]): string[][] {
  const cells = row.map((cell) => cell.split('\n'));
  const height = Math.max(1, ...cells.map((cell) => cell.length));
  return Array.from({ length: height }, (_, line) => widths.map((width, column) => {
    const text = cells[column]?.[line] ?? '';
    return ` ${text}${' '.repeat(Math.max(0, width - displayWidth(text)))} `;
  }));
}
