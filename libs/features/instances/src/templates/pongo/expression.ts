import { filters, type Filter } from './filters.rules.js';
import type { Token } from './lexer.js';
import { templateError } from './template-error.js';
import { contains, equals, isList, isMap, isNumber, isTruthy, show, TemplateFunction, toFloat, toInteger, type Value } from './values.js';

export interface Scope {
  get(name: string): Value;
  /** Counts work; throws when there was too much of it. */
  step(): void;
}

export type Expression = (scope: Scope) => Value;

const deepest = 50;
const longestText = 1024 * 1024;
const comparisons: Readonly<Record<string, (a: Value, b: Value) => boolean>> = {
  '==': equals, '!=': (a, b) => !equals(a, b), '<>': (a, b) => !equals(a, b), in: (a, b) => contains(b, a),
  '<': (a, b) => toFloat(a) < toFloat(b), '>': (a, b) => toFloat(a) > toFloat(b), '<=': (a, b) => toFloat(a) <= toFloat(b), '>=': (a, b) => toFloat(a) >= toFloat(b),
};

/** The words of one tag, read from the front. */
export class Words {
  private at = 0;
  private depth = 0;

  /** `closing` is what stands behind the last. */
  constructor(private readonly tokens: readonly Token[], readonly closing: Token) {}

  get next(): Token {
    return this.tokens[this.at] ?? this.closing;
  }

  get isEmpty(): boolean {
    return this.at >= this.tokens.length;
  }

  take(): Token {
    const token = this.next;
    this.at++;
    return token;
  }

  /** Whether the next one is this; then it is taken. */
  accept(text: string): boolean {
    const { next } = this;
    if ((next.kind !== 'symbol' && next.kind !== 'name') || next.text !== text || this.isEmpty) return false;
    this.at++;
    return true;
  }

  name(): string {
    const token = this.take();
    if (token.kind !== 'name') throw templateError('parser', token, 'An identifier was expected.');
    return token.text;
  }

  expect(text: string): void {
    if (!this.accept(text)) throw templateError('parser', this.next, `'${text}' expected`);
  }

  finish(): void {
    if (!this.isEmpty) throw templateError('parser', this.next, `'${this.closing.text}' expected`);
  }

  expression(): Expression {
    if (++this.depth > deepest) throw templateError('parser', this.next, 'The expression is nested too deeply.');
    const parsed = this.either();
    this.depth--;
    return parsed;
  }

  private either(): Expression {
    let left = this.both();
    while (this.accept('or') || this.accept('||')) {
      const [a, b] = [left, this.both()];
      left = (scope) => isTruthy(a(scope)) || isTruthy(b(scope));
    }
    return left;
  }

  private both(): Expression {
    let left = this.negation();
    while (this.accept('and') || this.accept('&&')) {
      const [a, b] = [left, this.negation()];
      left = (scope) => isTruthy(a(scope)) && isTruthy(b(scope));
    }
    return left;
  }

  private negation(): Expression {
    if (++this.depth > deepest) throw templateError('parser', this.next, 'The expression is nested too deeply.');
    const negated = this.accept('not') || this.accept('!');
    const value = negated ? this.negation() : this.comparison();
    this.depth--;
    return negated ? (scope) => !isTruthy(value(scope)) : value;
  }

  private comparison(): Expression {
    const left = this.sum();
    const operator = Object.keys(comparisons).sort((a, b) => b.length - a.length).find((symbol) => this.accept(symbol));
    if (operator === undefined) return left;
    const right = this.sum();
    const compare = comparisons[operator]!;
    return (scope) => compare(left(scope), right(scope));
  }

  private sum(): Expression {
    let left = this.product();
    for (let operator = this.oneOf('+', '-'); operator !== null; operator = this.oneOf('+', '-')) {
      const [a, b, minus] = [left, this.product(), operator === '-'];
      left = (scope) => (minus ? arithmetic(a(scope), b(scope), (x, y) => x - y, (x, y) => x - y) : plus(a(scope), b(scope)));
    }
    return left;
  }

  private product(): Expression {
    let left = this.power();
    for (let operator = this.oneOf('*', '/', '%'); operator !== null; operator = this.oneOf('*', '/', '%')) {
      const [a, b, symbol, place] = [left, this.power(), operator, this.next];
      left = (scope) => multiply(symbol, a(scope), b(scope), place);
    }
    return left;
  }

  private power(): Expression {
    const base = this.unary();
    if (!this.accept('^')) return base;
    const exponent = this.power();
    return (scope) => toFloat(base(scope)) ** toFloat(exponent(scope));
  }

  private unary(): Expression {
    if (!this.accept('-')) return this.filtered();
    const value = this.filtered();
    return (scope) => arithmetic(0n, value(scope), (x, y) => x - y, (x, y) => x - y);
  }

  private filtered(): Expression {
    let value = this.primary();
    while (this.accept('|')) {
      const [inner, [filter, parameter]] = [value, this.filter()];
      value = (scope) => {
        scope.step();
        return limited(filter(inner(scope), parameter?.(scope) ?? null));
      };
    }
    return value;
  }

  /** Its name, and a parameter if there is one. */
  filter(): readonly [Filter, Expression | null] {
    const token = this.next;
    const filter = filters.get(this.name());
    if (filter === undefined) throw templateError('parser', token, `Filter '${token.text}' does not exist.`);
    return [filter, this.accept(':') ? this.primary() : null];
  }

  private oneOf(...symbols: string[]): string | null {
    return symbols.find((symbol) => this.accept(symbol)) ?? null;
  }

  private primary(): Expression {
    const token = this.take();
    if (token.kind === 'string') return () => token.text;
    if (token.kind === 'int') return () => BigInt(token.text);
    if (token.kind === 'float') return () => Number(token.text);
    if (token.kind === 'symbol' && token.text === '(') {
      const inner = this.expression();
      this.expect(')');
      return inner;
    }
    if (token.kind !== 'name') throw templateError('parser', token, 'Expected either a number, string, keyword or identifier.');
    if (token.text === 'true' || token.text === 'false') return () => token.text === 'true';
    return this.path(token);
  }

  /** `name.field.0(argument, ...)` */
  private path(token: Token): Expression {
    let value: Expression = (scope) => {
      scope.step();
      return scope.get(token.text);
    };
    for (;;) {
      const inner = value;
      if (this.accept('.')) {
        const field = this.take();
        if (field.kind !== 'name' && field.kind !== 'int') throw templateError('parser', field, 'This token is not allowed within a variable name.');
        value = (scope) => fieldOf(inner(scope), field.text);
      } else if (this.accept('(')) {
        const argv = this.argv();
        value = (scope) => call(inner(scope), argv.map((argument) => argument(scope)), token);
      } else return value;
    }
  }

  private argv(): Expression[] {
    const argv: Expression[] = [];
    if (this.accept(')')) return argv;
    do argv.push(this.expression()); while (this.accept(','));
    this.expect(')');
    return argv;
  }
}

function fieldOf(value: Value, name: string): Value {
  if (isMap(value)) return value.get(name) ?? null;
  if (/^\d+$/.test(name) && isList(value)) return value[Number(name)] ?? null;
  return typeof value === 'string' && /^\d+$/.test(name) ? (value[Number(name)] ?? null) : null;
}

/** What is no function gives nothing. */
function call(value: Value, argv: readonly Value[], token: Token): Value {
  if (!(value instanceof TemplateFunction)) return null;
  if (argv.length !== value.argumentCount) {
    throw templateError('execution', token, `Function input argument count (${value.argumentCount}) of '${value.name}' must be equal to the calling argument count (${argv.length}).`);
  }
  return value.call(argv);
}

function plus(a: Value, b: Value): Value {
  return isNumber(a) && isNumber(b) ? arithmetic(a, b, (x, y) => x + y, (x, y) => x + y) : limited(show(a) + show(b));
}

function arithmetic(a: Value, b: Value, whole: (x: bigint, y: bigint) => bigint, real: (x: number, y: number) => number): Value {
  if (typeof a === 'number' || typeof b === 'number') return real(toFloat(a), toFloat(b));
  return BigInt.asIntN(64, whole(toInteger(a), toInteger(b)));
}

function multiply(symbol: string, a: Value, b: Value, place: Token): Value {
  if (symbol === '*') return arithmetic(a, b, (x, y) => x * y, (x, y) => x * y);
  if (typeof a !== 'number' && typeof b !== 'number' && toInteger(b) === 0n) throw templateError('execution', place, 'Division by zero.');
  return symbol === '/' ? arithmetic(a, b, (x, y) => x / y, (x, y) => x / y) : toInteger(a) % (toInteger(b) || 1n);
}

function limited(value: Value): Value {
  if (typeof value === 'string' && value.length > longestText) throw templateError('execution', { line: 1, column: 1 }, 'A text grew too long.');
  return value;
}
