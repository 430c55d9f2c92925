import { invalid } from '#kernel';
import type { Flag } from './command.js';

/** What was given: flags by name, in the order they came, and the words left. */
export interface Parsed {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly rest: readonly string[];
}

/** The typed view of a command's flags. */
export class Flags {
  constructor(private readonly known: readonly Flag[], private readonly values: ReadonlyMap<string, readonly string[]>) {}

  given(name: string): boolean { return this.values.has(name); }

  bool(name: string): boolean { return (this.values.get(name)?.at(-1) ?? this.fallback(name)) === 'true'; }

  text(name: string): string { return this.values.get(name)?.at(-1) ?? this.fallback(name); }

  int(name: string): number { return Number(this.values.get(name)?.at(-1) ?? this.fallback(name)); }

  list(name: string): readonly string[] { return this.values.get(name) ?? []; }

  private fallback(name: string): string { return this.known.find((flag) => flag.name === name)?.fallback ?? ''; }
}

const truths: Readonly<Record<string, string>> = {
  1: 'true', t: 'true', T: 'true', true: 'true', TRUE: 'true', True: 'true', 0: 'false', f: 'false', F: 'false', false: 'false', FALSE: 'false', False: 'false',
};

/**
 * Reads flags as `lxc` reads them: anywhere among the arguments up to `--`; `--name=value` or `--name value`; letters may be joined (`-fq`), and the
 * value may follow its letter (`-cns`). What may stand bare (`--console`) takes a value only after `=`. Complaints have `lxc`'s words.
 */
export function parseFlags(words: readonly string[], known: readonly Flag[]): Parsed {
  const values = new Map<string, string[]>();
  const rest: string[] = [];
  const queue = [...words];
  const add = (flag: Flag, value: string): void => { values.set(flag.name, [...(values.get(flag.name) ?? []), checked(flag, value)]); };
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (word === '--') {
      rest.push(...queue);
      break;
    }
    if (word === '-' || !word.startsWith('-')) rest.push(word);
    else if (word.startsWith('--')) parseLong(word, known, queue, add);
    else parseShort(word, known, queue, add);
  }
  return { values, rest };
}

function parseLong(word: string, known: readonly Flag[], queue: string[], add: (flag: Flag, value: string) => void): void {
  const equals = word.indexOf('=');
  const name = word.slice(2, equals < 0 ? undefined : equals);
  if (name === '' || name.startsWith('-') || name.startsWith('=')) throw invalid(`bad flag syntax: ${word}`);
  const flag = known.find((one) => one.name === name);
  if (flag === undefined) throw invalid(`unknown flag: --${name}`);
  if (equals >= 0) return add(flag, word.slice(equals + 1));
  const bare = bareValue(flag);
  if (bare !== undefined) return add(flag, bare);
  const value = queue.shift();
  if (value === undefined) throw invalid(`flag needs an argument: --${name}`);
  add(flag, value);
}

function parseShort(word: string, known: readonly Flag[], queue: string[], add: (flag: Flag, value: string) => void): void {
  for (let left = word.slice(1); left !== '';) {
    const letter = left[0]!;
    const flag = known.find((one) => one.short === letter);
    if (flag === undefined) throw invalid(`unknown shorthand flag: '${letter}' in -${left}`);
    if (left.length > 2 && left[1] === '=') return add(flag, left.slice(2));
    const bare = bareValue(flag);
    if (bare !== undefined) {
      add(flag, bare);
      left = left.slice(1);
      continue;
    }
    const value = left.length > 1 ? left.slice(1) : queue.shift();
    if (value === undefined) throw invalid(`flag needs an argument: '${letter}' in -${left}`);
    return add(flag, value);
  }
}

function bareValue(flag: Flag): string | undefined {
  return flag.bare ?? (flag.kind === 'bool' ? 'true' : undefined);
}

function checked(flag: Flag, value: string): string {
  const complain = (kind: string, why = 'invalid syntax'): Error => invalid(
    `invalid argument ${JSON.stringify(value)} for "${flag.short === undefined ? '' : `-${flag.short}, `}--${flag.name}" flag: strconv.${kind}: parsing ${JSON.stringify(value)}: ${why}`,
  );
  if (flag.kind === 'bool') {
    const truth = truths[value];
    if (truth === undefined) throw complain('ParseBool');
    return truth;
  }
  if (flag.kind === 'uint' && !/^(\d+|0x[0-9a-fA-F]+)$/.test(value)) throw complain('ParseUint');
  if (flag.kind === 'uint' && Number(value) >= 2 ** 32) throw complain('ParseUint', 'value out of range');
  if (flag.kind === 'int' && !/^[+-]?(\d+|0x[0-9a-fA-F]+)$/.test(value)) throw complain('ParseInt');
  if (flag.kind === 'int' && !Number.isSafeInteger(Number(value))) throw complain('ParseInt', 'value out of range');
  return value;
}
