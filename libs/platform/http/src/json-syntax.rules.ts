import { invalid, messageOf } from '#kernel';

/**
 * Reads the first JSON value of a text and ignores what follows it, as LXD's decoder does. `invalid` (400) with LXD's wording
 * when there is none: `EOF`, `unexpected EOF`, `invalid character 'x' looking for beginning of value`.
 */
export function parseJsonBody(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The slow path says what is wrong, or finds where the first value ends.
    const scanner = new JsonScanner(text);
    const start = scanner.skipSpace(0);
    if (start >= text.length) throw invalid('EOF');
    return JSON.parse(text.slice(start, scanner.value(start))) as unknown;
  }
}

/** The same for a text that holds one value and nothing else, in the words of LXD's other decoder. */
export function parseWholeJsonBody(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const scanner = new JsonScanner(text);
    const start = scanner.skipSpace(0);
    const end = start >= text.length ? -1 : endOf(scanner, start);
    if (end < 0) throw invalid('unexpected end of JSON input');
    return scanner.refuse(scanner.skipSpace(end), 'after top-level value');
  }
}

/** Where the value at `start` ends; -1 when the text does before. */
function endOf(scanner: JsonScanner, start: number): number {
  try {
    return scanner.value(start);
  } catch (error) {
    if (messageOf(error) === 'unexpected EOF') return -1;
    throw error;
  }
}

const simpleEscapes = '"\\/bfnrt';
const isDigit = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9';

/** Walks JSON by the grammar; every method takes a position and returns the one after what it read. */
class JsonScanner {
  constructor(private readonly text: string) {}

  skipSpace(at: number): number {
    while (' \t\r\n'.includes(this.text[at] ?? 'x')) at++;
    return at;
  }

  value(at: number): number {
    const c = this.at(at);
    if (c === '{') return this.object(at + 1);
    if (c === '[') return this.array(at + 1);
    if (c === '"') return this.string(at + 1);
    if (c === '-' || isDigit(c)) return this.number(at);
    for (const word of ['true', 'false', 'null']) {
      if (c === word[0]) return this.literal(at, word);
    }
    return this.refuse(at, 'looking for beginning of value');
  }

  private object(at: number): number {
    at = this.skipSpace(at);
    if (this.at(at) === '}') return at + 1;
    for (;;) {
      at = this.skipSpace(at);
      if (this.at(at) !== '"') this.refuse(at, 'looking for beginning of object key string');
      at = this.skipSpace(this.string(at + 1));
      if (this.at(at) !== ':') this.refuse(at, 'after object key');
      at = this.skipSpace(this.value(this.skipSpace(at + 1)));
      const c = this.at(at);
      if (c === '}') return at + 1;
      if (c !== ',') this.refuse(at, 'after object key:value pair');
      at++;
    }
  }

  private array(at: number): number {
    at = this.skipSpace(at);
    if (this.at(at) === ']') return at + 1;
    for (;;) {
      at = this.skipSpace(this.value(this.skipSpace(at)));
      const c = this.at(at);
      if (c === ']') return at + 1;
      if (c !== ',') this.refuse(at, 'after array element');
      at++;
    }
  }

  private string(at: number): number {
    for (;;) {
      const c = this.at(at);
      if (c === '"') return at + 1;
      if (c < ' ') this.refuse(at, 'in string literal');
      at = c === '\\' ? this.escape(at + 1) : at + 1;
    }
  }

  private escape(at: number): number {
    const c = this.at(at);
    if (simpleEscapes.includes(c)) return at + 1;
    if (c !== 'u') this.refuse(at, 'in string escape code');
    for (let i = 1; i <= 4; i++) {
      if (!/[0-9a-fA-F]/.test(this.at(at + i))) this.refuse(at + i, 'in \\u hexadecimal character escape');
    }
    return at + 5;
  }

  private number(at: number): number {
    if (this.text[at] === '-') at++;
    if (!isDigit(this.at(at))) this.refuse(at, 'in numeric literal');
    at = this.text[at] === '0' ? at + 1 : this.digits(at);
    if (this.text[at] === '.') {
      if (!isDigit(this.at(++at))) this.refuse(at, 'after decimal point in numeric literal');
      at = this.digits(at);
    }
    if (this.text[at] === 'e' || this.text[at] === 'E') {
      at++;
      if (this.text[at] === '+' || this.text[at] === '-') at++;
      if (!isDigit(this.at(at))) this.refuse(at, 'in exponent of numeric literal');
      at = this.digits(at);
    }
    return at;
  }

  private digits(at: number): number {
    while (isDigit(this.text[at])) at++;
    return at;
  }

  private literal(at: number, word: string): number {
    for (let i = 1; i < word.length; i++) {
      if (this.at(at + i) !== word[i]) this.refuse(at + i, `in literal ${word} (expecting '${word[i]}')`);
    }
    return at + word.length;
  }

  private at(at: number): string {
    const c = this.text[at];
    if (c === undefined) throw invalid('unexpected EOF');
    return c;
  }

  /** LXD scans bytes, so a character outside ASCII is shown as its first byte. */
  refuse(at: number, where: string): never {
    const byte = Buffer.from(this.text.slice(at, at + 2))[0] ?? 0;
    throw invalid(`invalid character ${quoteByte(byte)} ${where}`);
  }
}

function quoteByte(byte: number): string {
  if (byte === 0x27) return "'\\''";
  if (byte === 0x22) return `'"'`;
  const named: Record<number, string> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 92: '\\\\' };
  const name = named[byte];
  if (name !== undefined) return `'${name}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, '0')}'`;
  if (byte >= 0x80 && byte < 0xa0) return `'\\u${byte.toString(16).padStart(4, '0')}'`;
  return `'${String.fromCharCode(byte)}'`;
}
