import { internal } from '#kernel';

/** One `field operator value`, joined to what stands left of it. */
interface Clause {
  readonly join: 'and' | 'or';
  readonly negated: boolean;
  readonly field: string;
  readonly wantsEqual: boolean;
  readonly pattern: RegExp | string;
}

/** A parsed `filter=`; parse once, then apply to each object of the list. */
export type Filter = (object: unknown) => boolean;

/** The status is 500 as with LXD 5.0.2, where clients already depend on it. */
const refuse = (reason: string): Error => internal(`Invalid filter: ${reason}`);

/**
 * LXD's filter language: `name eq x and not config.limits.cpu ne 2`, evaluated from left to right, no brackets. The operator
 * `ne` means different and every other word equal. A value is a case-insensitive regular expression; only text fields compare
 * equal, so `ephemeral eq false` never matches (LXD 5.0.2, asked). The empty filter matches everything.
 */
export function parseFilter(text: string): Filter {
  const clauses = parseClauses(text);
  return (object) => {
    let result = true;
    for (const [i, clause] of clauses.entries()) {
      const matches = matchesClause(clause, object);
      if (i === 0) result = matches;
      else result = clause.join === 'and' ? result && matches : result || matches;
    }
    return result;
  };
}

/** Whether one object passes; for lists use `parseFilter` once. */
export function filterMatches(text: string | undefined, object: unknown): boolean {
  return text === undefined || parseFilter(text)(object);
}

/** Applies `filter=` to a list; the list itself when there is no filter. */
export function filterList<T>(text: string | undefined, list: readonly T[], view: (item: T) => unknown = (item) => item): T[] {
  if (text === undefined || text === '') return [...list];
  const filter = parseFilter(text);
  return list.filter((item) => filter(view(item)));
}

function parseClauses(text: string): Clause[] {
  const words = text.split(/\s+/).filter((w) => w !== '');
  const clauses: Clause[] = [];
  let at = 0;
  let join: Clause['join'] = 'and';
  while (at < words.length) {
    const negated = words[at]?.toLowerCase() === 'not';
    if (negated && ++at >= words.length) throw refuse('incomplete not clause');
    const field = words[at++] ?? '';
    const operator = words[at++];
    if (operator === undefined) throw refuse('clause has no operator');
    if (words[at] === undefined) throw refuse('clause has no value');
    const value = takeValue(words, at);
    at = value.next;
    clauses.push({ join, negated, field, wantsEqual: operator !== 'ne', pattern: compile(value.text) });
    if (at >= words.length) break;
    const word = words[at++];
    if (word !== 'and' && word !== 'or') throw refuse('invalid clause composition');
    if (at >= words.length) throw refuse('unterminated compound clause');
    join = word;
  }
  return clauses;
}

/** A value that opens with a quote goes on to the next *later* word that ends with one; a single quoted word is unterminated. */
function takeValue(words: readonly string[], at: number): { text: string; next: number } {
  const first = words[at] ?? '';
  if (!first.startsWith('"')) return { text: first, next: at + 1 };
  const parts = [first.slice(1)];
  for (let i = at + 1; i < words.length; i++) {
    const word = words[i] ?? '';
    if (word.endsWith('"')) return { text: [...parts, word.slice(0, -1)].join(' '), next: i + 1 };
    parts.push(word);
  }
  throw refuse('unterminated quote');
}

/**
 * Patterns come from clients, untrusted ones for public images: one that could take exponential time here (LXD's engine is
 * linear) is compared as plain text instead.
 */
function compile(value: string): RegExp | string {
  const quantifiers = value.match(/[*+{]/g)?.length ?? 0;
  if (value.length > 512 || quantifiers > 3 || /\)[*+?{]/.test(value) || /\\[1-9k]/.test(value)) return value.toLowerCase();
  try {
    return new RegExp(`^${value}$`, 'i');
  } catch {
    return value.toLowerCase();
  }
}

function matchesClause(clause: Clause, object: unknown): boolean {
  const actual = lookUp(object, clause.field);
  const equal =
    typeof actual === 'string' &&
    (typeof clause.pattern === 'string' ? actual.toLowerCase() === clause.pattern : clause.pattern.test(actual));
  return (equal === clause.wantsEqual) !== clause.negated;
}

/** `config.limits.cpu` and `devices.root.path`: at each level the whole rest may be a key, or its part before a dot. */
function lookUp(value: unknown, path: string): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  const fields = value as Record<string, unknown>;
  if (Object.hasOwn(fields, path)) return fields[path];
  for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
    const head = path.slice(0, dot);
    if (Object.hasOwn(fields, head)) return lookUp(fields[head], path.slice(dot + 1));
  }
  return undefined;
}
