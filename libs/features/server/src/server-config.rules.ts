import { serverKeys, type KeySpec } from '#config-schema';
import { invalid, isTrue, messageOf } from '#kernel';

/** Shown in place of the password's hash; a client that sends it back changes nothing. */
export const passwordKey = 'core.trust_password';

/** Values by key as text; null removes. */
export type ConfigChange = ReadonlyMap<string, string | null>;

/**
 * Reads a client's `config` into changes. Every value is text or null, except the password, whose `true` means "leave it". All
 * refusals are gathered and, as in LXD, the first by key is told with the number of the others.
 */
export function readChanges(config: Readonly<Record<string, unknown>>): ConfigChange {
  const changes = new Map<string, string | null>();
  const refusals: string[] = [];
  for (const name of Object.keys(config).sort()) {
    try {
      const value = readValue(name, config[name]);
      if (value !== undefined) changes.set(name, value);
    } catch (error) {
      refusals.push(messageOf(error));
    }
  }
  const [first, ...others] = refusals;
  if (first !== undefined) throw invalid(others.length === 0 ? first : `${first} (and ${others.length} more errors)`);
  return changes;
}

function readValue(name: string, given: unknown): string | null | undefined {
  if (given === null || given === '') return null;
  if (name === passwordKey && given === true) return undefined;
  if (typeof given !== 'string') throw invalid(`cannot set '${name}': invalid type ${goTypeOf(given)}`);
  const spec = serverKeys.find(name);
  // An open prefix may be a key of its own (`user.`), as LXD takes it.
  if (spec === undefined && !name.startsWith('user.')) throw invalid(`cannot set '${name}' to '${given}': unknown key`);
  try {
    spec?.check?.(given, name);
  } catch (error) {
    throw invalid(`cannot set '${name}' to '${given}': ${messageOf(error)}`, { cause: error });
  }
  return normalise(spec, given);
}

/** Booleans are stored as true and false, and what equals the default is not stored at all. */
function normalise(spec: KeySpec | undefined, given: string): string | null {
  const value = spec?.type === 'bool' ? String(isTrue(given)) : given;
  const standard = spec?.default ?? (spec?.type === 'bool' ? 'false' : '');
  return value === standard ? null : value;
}

function goTypeOf(value: unknown): string {
  if (typeof value === 'number') return 'float64';
  if (typeof value === 'boolean') return 'bool';
  return Array.isArray(value) ? 'slice' : 'map';
}

/**
 * What a PUT means: everything it does not name is reset. Keys below `user.` stay unless they are named with an empty value, which
 * is how LXD 5.0.2 behaves.
 */
export function completeReplacement(current: ReadonlyMap<string, string>, config: Readonly<Record<string, unknown>>, changes: ConfigChange): ConfigChange {
  const all = new Map(changes);
  for (const name of current.keys()) {
    if (!name.startsWith('user.') && !Object.hasOwn(config, name)) all.set(name, null);
  }
  return all;
}

/** Drops changes that change nothing. */
export function effectiveChanges(current: ReadonlyMap<string, string>, changes: ConfigChange): Map<string, string | null> {
  return new Map([...changes].filter(([name, value]) => (current.get(name) ?? null) !== value));
}
