/** Literals, quoted names and comments are one token each, so that a semicolon inside them ends nothing. */
const token = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|;|[\s\S]/g;

function isComment(text: string): boolean {
  return text.startsWith('--') || text.startsWith('/*');
}

/** The statements of a script, trimmed, without comments; empty ones are left out. */
export function splitStatements(script: string): string[] {
  const statements: string[] = [];
  let current = '';
  for (const [text] of script.matchAll(token)) {
    if (text === ';') {
      statements.push(current);
      current = '';
    } else {
      current += isComment(text) ? ' ' : text;
    }
  }
  return [...statements, current].map((statement) => statement.trim()).filter((statement) => statement !== '');
}

/** `"x"` where it names no column is the text x for LXD's SQLite, and an error for ours: write it as the text it was meant to be. */
export function quoteAsText(statement: string, name: string): string {
  const quoted = `"${name}"`;
  return [...statement.matchAll(token)].map(([text]) => (text === quoted ? `'${name.replaceAll("'", "''")}'` : text)).join('');
}
