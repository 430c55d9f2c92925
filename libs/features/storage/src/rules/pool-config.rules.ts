import { storagePoolKeys, memberPoolKeys, type KeyGroup } from '#config-schema';
import { invalid, messageOf } from '#kernel';

export type Config = Readonly<Record<string, string>>;

/** Refuses unknown keys and bad values, in LXD's words. Empty values mean "not set". */
export function validatePoolConfig(driver: string, config: Config): void {
  const keys = storagePoolKeys[driver];
  if (keys === undefined) throw invalid('Unknown driver');
  validate(keys, config, (name) => `Invalid option "${name}"`, (name) => `Invalid value for option "${name}"`);
}

export function validate(keys: KeyGroup, config: Config, unknown: (name: string) => string, bad: (name: string) => string): void {
  for (const [name, value] of Object.entries(config).sort()) {
    const spec = keys.find(name);
    if (spec === undefined) throw invalid(unknown(name));
    if (value === '') continue;
    try {
      spec.check?.(value, name);
    } catch (error) {
      throw invalid(`${bad(name)}: ${messageOf(error)}`);
    }
  }
}

/** Without keys that are not set. */
export function compact(config: Config | null | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(config ?? {}).filter(([, value]) => value !== ''));
}

/** What differs; a key that is gone has an empty value. */
export function changedKeys(before: Config, after: Config): Record<string, string> {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries([...names].filter((name) => before[name] !== after[name]).map((name) => [name, after[name] ?? '']));
}

/** Splits into what the pool has in common and what belongs to this member. */
export function splitConfig(config: Config): { common: Record<string, string>; member: Record<string, string> } {
  const entries = Object.entries(config);
  return {
    common: Object.fromEntries(entries.filter(([name]) => !memberPoolKeys.includes(name))),
    member: Object.fromEntries(entries.filter(([name]) => memberPoolKeys.includes(name))),
  };
}
