/** What a flag takes: nothing, a text, a whole number, one that is not negative, or texts, one per use. */
export type FlagKind = 'bool' | 'string' | 'int' | 'uint' | 'list';

export interface Flag {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  readonly kind: FlagKind;
  readonly help: string;
  /** Value when it is not given; absent: false, empty, 0, none. */
  readonly fallback?: string;
  /** The value may be left out, and is this then; a value must follow `=`. */
  readonly bare?: string;
  readonly hidden?: boolean;
}

/** What a command does; of its one argument, the call, only `invocation.ts` knows more. */
export type Action = (call: never) => Promise<void>;

/** One command: what is known of it without loading what it does. */
export interface Command {
  readonly name: string;
  readonly aliases: readonly string[];
  /** The arguments, as help shows them. Example: `[<remote>:]<instance> <key>` */
  readonly usage: string;
  readonly summary: string;
  /** More than one line of explanation. */
  readonly details: string;
  /** A command and what it does, in pairs. */
  readonly examples: readonly (readonly [string, string])[];
  readonly flags: readonly Flag[];
  /** How many arguments; the second may be Infinity. */
  readonly args: readonly [number, number];
  readonly commands: readonly Command[];
  /** Left out of help, as seldom needed. */
  readonly hidden: boolean;
  /** Of a group: a word that is no command of it shows its help and is no error. */
  readonly lax: boolean;
  /** Not one of `lxc`'s. */
  readonly beyond: boolean;
  readonly load?: () => Promise<Action>;
}

type Details = Partial<Pick<Command, 'aliases' | 'details' | 'examples' | 'flags' | 'hidden' | 'beyond' | 'lax'>> & { readonly args?: Command['args'] };

const empty = { aliases: [], details: '', examples: [], flags: [], hidden: false, beyond: false, lax: false, commands: [] };

/**
 * A command that does something. How many arguments it takes is read off `usage` unless `args` says: each word in `<>` one, in `[]` one that may be
 * left out, `...` any number.
 */
export function verb(name: string, usage: string, summary: string, load: () => Promise<Action>, details: Details = {}): Command {
  return { ...empty, name, usage, summary, load, args: countArguments(usage), ...details };
}

/** A command that only holds others. */
export function group(name: string, summary: string, commands: readonly Command[], details: Details = {}): Command {
  return { ...empty, name, usage: '', summary, args: [0, 0], commands, ...details };
}

function countArguments(usage: string): [number, number] {
  let least = 0;
  let most = 0;
  for (const word of usage.replace(/\[(?:<remote>:|target project\/)\]/g, '').split(/ (?![^[]*\])/).filter((found) => found !== '')) {
    if (word.includes('...')) most = Infinity;
    if (word.startsWith('[')) most++;
    else [least, most] = [least + 1, most + 1];
  }
  return [least, most];
}

export const bool = (name: string, help: string, short?: string, more: Partial<Flag> = {}): Flag => ({ name, help, short, kind: 'bool', ...more });
export const text = (name: string, help: string, short?: string, fallback?: string, more: Partial<Flag> = {}): Flag => ({ name, help, short, kind: 'string', fallback, ...more });
export const int = (name: string, help: string, short?: string, fallback = '0'): Flag => ({ name, help, short, kind: 'int', fallback });
export const uint = (name: string, help: string, short?: string, fallback = '0'): Flag => ({ name, help, short, kind: 'uint', fallback });
export const list = (name: string, help: string, short?: string): Flag => ({ name, help, short, kind: 'list' });

export const format = text('format', 'Output as csv, json, table, yaml or compact', 'f', 'table');
export const target = text('target', 'Cluster member to ask');

/** Taken by every command. */
export const globalFlags: readonly Flag[] = [
  bool('debug', 'Print every request and answer'),
  bool('force-local', 'Use the local socket, whatever remote is the default'),
  bool('help', 'Print this help', 'h'),
  text('project', 'Work in this project'),
  bool('quiet', 'Print no progress', 'q'),
  bool('sub-commands', 'With help: also those below'),
  bool('verbose', 'Print what is being done', 'v'),
  bool('version', 'Print the version'),
];
