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

/** A member's keys as they were asked for, without what its host chose when it made its part. */
export function askedConfig(pool: string, config: Config): Record<string, string> {
  const { 'volatile.initial_source': initial, source = '', ...others } = splitConfig(config).member;
  const chosen = source.endsWith(`/storage-pools/${pool}`) || source.endsWith(`/disks/${pool}.img`);
  const asked = initial ?? (chosen ? '' : source);
  return asked === '' ? others : { ...others, source: asked };
}

/** A pool that is there stays where it is. LXD's wording; in a cluster it answers 500. */
export function refuseNewSource(before: Config, after: Config): void {
  if ((after['source'] ?? '') !== (before['source'] ?? '')) throw invalid('Pool source cannot be changed when not in pending state');
}

/** The first of them that belongs to one member, or to all (`false`). */
export function findKey(config: Config, ofMember: boolean): string | undefined {
  return Object.keys(config).sort().find((name) => memberPoolKeys.includes(name) === ofMember);
}

/** A PUT has all that is wanted, a PATCH what changes; an absent description is empty in the one and left alone in the other. */
export function merged(before: { description: string; config: Config }, request: { description?: string | null; config?: Config | null }, merge: boolean): { description: string; config: Config } {
  return {
    description: request.description ?? (merge ? before.description : ''),
    config: compact(merge ? { ...before.config, ...request.config } : request.config),
  };
}
