import { internal } from '#kernel';
import { Words, type Expression, type Scope } from './expression.js';
import { tokenize, type Token } from './lexer.js';
import { templateError } from './template-error.js';
import { entriesOf, equals, isTruthy, mapOf, show, type Value } from './values.js';

/** Work that one template may do: names looked up, filters, turns of loops. */
const mostSteps = 200_000;
const longestOutput = 1024 * 1024;
const deepest = 50;

type Node = (context: Context) => void;
type Body = readonly Node[];

const forbidden = ['include', 'extends', 'import', 'ssi', 'block'];
const brackets: Readonly<Record<string, string>> = {
  openblock: '{%', closeblock: '%}', openvariable: '{{', closevariable: '}}', openbrace: '{', closebrace: '}', opencomment: '{#', closecomment: '#}',
};

/** Names by scope, what was written so far, and how much work is left. */
class Context implements Scope {
  private readonly scopes: Map<string, Value>[];
  private steps = 0;
  private output: string[] = [];
  private length = 0;

  constructor(globals: ReadonlyMap<string, Value>) {
    this.scopes = [new Map(globals)];
  }

  get text(): string {
    return this.output.join('');
  }

  get(name: string): Value {
    return this.scopes.findLast((scope) => scope.has(name))?.get(name) ?? null;
  }

  set(name: string, value: Value): void {
    this.scopes.at(-1)!.set(name, value);
  }

  step(): void {
    if (++this.steps > mostSteps) throw internal('The template does too much');
  }

  write(text: string): void {
    this.length += text.length;
    if (this.length > longestOutput) throw internal('The template writes too much');
    this.output.push(text);
  }

  run(body: Body, names: ReadonlyMap<string, Value> | null = null): void {
    if (names !== null) this.scopes.push(new Map(names));
    for (const node of body) {
      this.step();
      node(this);
    }
    if (names !== null) this.scopes.pop();
  }

  /** What a part writes, instead of writing it. */
  capture(body: Body): string {
    const before = this.output;
    this.output = [];
    try {
      this.run(body);
      return this.text;
    } finally {
      this.output = before;
    }
  }
}

/**
 * Renders a template of an image: the language of Django as Go's pongo2 has it, as far as images use it. Nothing in it can reach anything but the names it is given; how long it
 * runs and how much it writes is bounded. @throws `internal` in the form of pongo2's errors.
 */
export function renderTemplate(source: string, names: Readonly<Record<string, Value>>): string {
  const body = new Parser(tokenize(source)).parse();
  const context = new Context(mapOf(names));
  context.run(body);
  return context.text;
}

class Parser {
  private at = 0;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  parse(): Body {
    const { body, end } = this.until([]);
    if (end !== null) throw unknownTag(end);
    return body;
  }

  /** Nodes up to a tag of these names, which is taken; its words are still to be read. Null at the end of the template. */
  private until(names: readonly string[]): { body: Body; end: Token | null; words: Words } {
    if (++this.depth > deepest) throw templateError('parser', this.tokens[this.at]!, 'Tags are nested too deeply.');
    const body: Node[] = [];
    for (;;) {
      const token = this.tokens[this.at]!;
      if (token.kind === 'end') {
        if (names.length > 0) throw templateError('parser', token, `Unexpected EOF, expected tag ${names.join(' or ')}.`);
        this.depth--;
        return { body, end: null, words: new Words([], token) };
      }
      this.at++;
      if (token.kind === 'html') body.push(this.html(token));
      else if (token.kind === 'open') body.push(this.output(token));
      else {
        const words = this.words(token);
        const name = words.take();
        if (names.includes(name.text)) {
          this.depth--;
          return { body, end: name, words };
        }
        body.push(this.tag(name, words));
      }
    }
  }

  /** `-` at a neighbouring tag takes white space away. */
  private html({ text }: Token): Node {
    const before = this.tokens[this.at - 2];
    const after = this.tokens[this.at];
    let shown = text;
    if (before?.trims && (before.kind === 'close' || before.kind === 'tagClose')) shown = shown.trimStart();
    if (after?.trims && (after.kind === 'open' || after.kind === 'tagOpen')) shown = shown.trimEnd();
    return (context) => context.write(shown);
  }

  private words(open: Token): Words {
    const begin = this.at;
    const closing = open.kind === 'open' ? 'close' : 'tagClose';
    while (this.tokens[this.at]!.kind !== closing) {
      const { kind } = this.tokens[this.at]!;
      if (kind === 'end' || kind === 'html') throw templateError('parser', this.tokens[this.at]!, `'${open.kind === 'open' ? '}}' : '%}'}' expected`);
      this.at++;
    }
    this.at++;
    return new Words(this.tokens.slice(begin, this.at - 1), this.tokens[this.at - 1]!);
  }

  private output(open: Token): Node {
    const words = this.words(open);
    const value = words.expression();
    words.finish();
    return (context) => context.write(show(value(context)));
  }

  private tag(name: Token, words: Words): Node {
    switch (name.text) {
      case 'if': return this.condition(words);
      case 'ifequal': return this.comparison(words, 'endifequal', true);
      case 'ifnotequal': return this.comparison(words, 'endifnotequal', false);
      case 'for': return this.loop(words);
      case 'set': return this.assignment(words);
      case 'with': return this.scope(words);
      case 'comment': return this.skipped();
      case 'autoescape': return this.plain();
      case 'spaceless': return this.spaceless();
      case 'filter': return this.filter(words);
      case 'firstof': return this.firstOf(words);
      case 'templatetag': return this.bracket(words);
      default: throw forbidden.includes(name.text) ? templateError('parser', name, `Usage of tag '${name.text}' is not allowed (sandbox restriction active).`) : unknownTag(name);
    }
  }

  private condition(words: Words): Node {
    const branches: { readonly test: Expression | null; readonly body: Body }[] = [];
    let test: Expression | null = words.expression();
    words.finish();
    for (;;) {
      const part = this.until(test === null ? ['endif'] : ['elif', 'else', 'endif']);
      branches.push({ test, body: part.body });
      if (part.end?.text === 'endif') return (context) => context.run(branches.find((branch) => branch.test === null || isTruthy(branch.test(context)))?.body ?? []);
      test = part.end?.text === 'elif' ? part.words.expression() : null;
      part.words.finish();
    }
  }

  private comparison(words: Words, ending: string, wanted: boolean): Node {
    const [a, b] = [words.expression(), words.expression()];
    words.finish();
    const first = this.until(['else', ending]);
    const other = first.end?.text === 'else' ? this.until([ending]).body : [];
    return (context) => context.run(equals(a(context), b(context)) === wanted ? first.body : other);
  }

  private loop(words: Words): Node {
    const key = words.name();
    const value = words.accept(',') ? words.name() : null;
    words.expect('in');
    const whole = words.expression();
    const [reversed, sorted] = [words.accept('reversed'), words.accept('sorted')];
    words.finish();
    const first = this.until(['empty', 'endfor']);
    const empty = first.end?.text === 'empty' ? this.until(['endfor']).body : [];
    return (context) => {
      const entries = entriesOf(whole(context));
      if (sorted) entries.sort(([a], [b]) => (show(a) < show(b) ? -1 : 1));
      if (reversed) entries.reverse();
      if (entries.length === 0) context.run(empty);
      const parent = context.get('forloop');
      for (const [index, [item, second]] of entries.entries()) {
        const names = new Map<string, Value>([[key, item], ['forloop', forloop(index, entries.length, parent)]]);
        if (value !== null) names.set(value, second);
        context.run(first.body, names);
      }
    };
  }

  private assignment(words: Words): Node {
    const name = words.name();
    words.expect('=');
    const value = words.expression();
    words.finish();
    return (context) => context.set(name, value(context));
  }

  private scope(words: Words): Node {
    const values: [string, Expression][] = [];
    do {
      const name = words.name();
      words.expect('=');
      values.push([name, words.expression()]);
    } while (!words.isEmpty);
    const { body } = this.until(['endwith']);
    return (context) => context.run(body, new Map(values.map(([name, value]) => [name, value(context)])));
  }

  private skipped(): Node {
    while (!(this.tokens[this.at]!.kind === 'tagOpen' && this.tokens[this.at + 1]?.text === 'endcomment')) {
      if (this.tokens[this.at]!.kind === 'end') throw templateError('parser', this.tokens[this.at]!, 'Unexpected EOF, expected tag endcomment.');
      this.at++;
    }
    this.words(this.tokens[this.at++]!);
    return () => {};
  }

  /** Nothing is escaped but by a filter, whatever this says: what is written is no page. */
  private plain(): Node {
    const { body } = this.until(['endautoescape']);
    return (context) => context.run(body);
  }

  private spaceless(): Node {
    const { body } = this.until(['endspaceless']);
    return (context) => context.write(context.capture(body).replaceAll(/>\s+</g, '><'));
  }

  private filter(words: Words): Node {
    const chain = [words.filter()];
    while (words.accept('|')) chain.push(words.filter());
    words.finish();
    const { body } = this.until(['endfilter']);
    return (context) => context.write(show(chain.reduce<Value>((value, [filter, parameter]) => filter(value, parameter?.(context) ?? null), context.capture(body))));
  }

  private firstOf(words: Words): Node {
    const values: Expression[] = [];
    while (!words.isEmpty) values.push(words.expression());
    return (context) => context.write(show(values.map((value) => value(context)).find(isTruthy) ?? null));
  }

  private bracket(words: Words): Node {
    const token = words.take();
    const text = brackets[token.text];
    if (text === undefined) throw templateError('parser', token, 'Argument not found');
    return (context) => context.write(text);
  }
}

function forloop(index: number, length: number, parent: Value): Value {
  return mapOf({
    Counter: BigInt(index + 1), Counter0: BigInt(index), Revcounter: BigInt(length - index), Revcounter0: BigInt(length - index - 1), First: index === 0, Last: index === length - 1, Parentloop: parent,
  });
}

function unknownTag(name: Token): Error {
  return templateError('parser', name, `Tag '${name.text}' not found (or beginning tag not provided)`);
}
