import { templateError } from './template-error.js';

export interface Token {
  readonly kind: 'html' | 'open' | 'close' | 'tagOpen' | 'tagClose' | 'name' | 'string' | 'int' | 'float' | 'symbol' | 'end';
  readonly text: string;
  readonly line: number;
  readonly column: number;
  /** `{%-` or `-%}`: white space on that side goes. */
  readonly trims?: boolean;
}

const symbols = ['==', '>=', '<=', '!=', '<>', '&&', '||', '(', ')', '+', '-', '*', '<', '>', '/', '^', ',', '.', '!', '|', ':', '=', '%'];
const verbatim = /^\{%-?\s*verbatim\s*-?%\}([\s\S]*?)\{%-?\s*endverbatim\s*-?%\}/;

/** Cuts a template into its text and the words of its tags. */
export function tokenize(source: string): Token[] {
  return new Lexer(source).run();
}

class Lexer {
  private at = 0;
  private line = 1;
  private lineStart = 0;
  private readonly tokens: Token[] = [];

  constructor(private readonly source: string) {}

  run(): Token[] {
    while (this.at < this.source.length) {
      if (!this.html()) this.tag();
    }
    this.push('end', '');
    return this.tokens;
  }

  private push(kind: Token['kind'], text: string, trims = false): void {
    this.tokens.push({ kind, text, line: this.line, column: this.at - this.lineStart + 1, ...(trims ? { trims } : {}) });
  }

  private advance(length: number): void {
    for (const end = this.at + length; this.at < end; this.at++) {
      if (this.source[this.at] !== '\n') continue;
      this.line++;
      this.lineStart = this.at + 1;
    }
  }

  /** Text up to the next tag; comments and verbatim parts are dealt with here. False at a tag. */
  private html(): boolean {
    const rest = this.source.slice(this.at);
    if (rest.startsWith('{#')) {
      const end = rest.indexOf('#}');
      if (end < 0 || rest.slice(0, end).includes('\n')) this.fail('Newline not permitted in a single-line comment.');
      this.advance(end + 2);
      return true;
    }
    const raw = verbatim.exec(rest);
    if (raw) {
      this.push('html', raw[1] ?? '');
      this.advance(raw[0].length);
      return true;
    }
    const length = rest.search(/\{\{|\{%|\{#/);
    if (length === 0) return false;
    this.push('html', length < 0 ? rest : rest.slice(0, length));
    this.advance(length < 0 ? rest.length : length);
    return true;
  }

  private tag(): void {
    const opening = this.source.startsWith('{%', this.at);
    const trims = this.source[this.at + 2] === '-';
    this.push(opening ? 'tagOpen' : 'open', opening ? '{%' : '{{', trims);
    this.advance(trims ? 3 : 2);
    const closing = opening ? '%}' : '}}';
    for (;;) {
      this.advance(/^[ \t\r\n]*/.exec(this.source.slice(this.at, this.at + 4096))![0].length);
      if (this.at >= this.source.length) return;
      const dash = this.source.startsWith(`-${closing}`, this.at);
      if (dash || this.source.startsWith(closing, this.at)) {
        this.push(opening ? 'tagClose' : 'close', closing, dash);
        this.advance(dash ? 3 : 2);
        return;
      }
      this.word();
    }
  }

  private word(): void {
    const rest = this.source.slice(this.at, this.at + 65_536);
    const quote = rest[0];
    if (quote === '"' || quote === "'") return this.text(rest, quote);
    const number = /^\d+(\.\d+)?/.exec(rest);
    const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(rest);
    const symbol = symbols.find((candidate) => rest.startsWith(candidate));
    const text = number?.[0] ?? name?.[0] ?? symbol;
    if (text === undefined) return this.fail(`Unknown character: ${JSON.stringify(quote)}`);
    this.push(number ? (number[1] === undefined ? 'int' : 'float') : name ? 'name' : 'symbol', text);
    this.advance(text.length);
  }

  private text(rest: string, quote: string): void {
    let value = '';
    for (let i = 1; i < rest.length; i++) {
      const character = rest[i]!;
      if (character === '\n') this.fail('Newline in string is not allowed.');
      if (character === quote) {
        this.push('string', value);
        return this.advance(i + 1);
      }
      if (character !== '\\') value += character;
      else if (['"', "'", '\\'].includes(rest[i + 1] ?? '')) value += rest[++i]!;
      else this.fail(`Unknown escape sequence: \\${rest[i + 1] ?? ''}`);
    }
    this.fail('Unexpected EOF, string not closed.');
  }

  private fail(message: string): never {
    throw templateError('lexer', { line: this.line, column: this.at - this.lineStart + 1 }, message);
  }
}
