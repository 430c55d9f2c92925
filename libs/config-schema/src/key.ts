import { invalid, isFalse, isTrue } from '#kernel';

export type KeyType = 'string' | 'bool' | 'integer' | 'blob';

/**
 * One configuration key, declared once: validation, `GET /1.0/metadata/configuration`, documentation and completion read it.
 * `check` throws with LXD's wording when a non-empty value is refused; the empty value always means "unset" unless `required`.
 */
export interface KeySpec {
  readonly type: KeyType;
  /** Text shown as the default; not applied by itself. */
  readonly default?: string;
  /** `global` or `local` (member-specific). */
  readonly scope?: 'global' | 'local';
  readonly liveUpdate?: boolean;
  readonly required?: boolean;
  /** When the key has a meaning, in words. */
  readonly condition?: string;
  readonly short: string;
  readonly check?: (value: string, key: string) => void;
}

type Declared = Omit<KeySpec, 'type'>;

/** Declarations read `'limits.cpu': key.string({ short: '...', check: isCpuLimit })`. */
export const key = {
  string: (spec: Declared): KeySpec => ({ ...spec, type: 'string' }),
  blob: (spec: Declared): KeySpec => ({ ...spec, type: 'blob' }),
  bool: (spec: Declared): KeySpec => ({ ...spec, type: 'bool', check: spec.check ?? isBool }),
  integer: (spec: Declared): KeySpec => ({ ...spec, type: 'integer', check: spec.check ?? isInteger }),
};

export function isBool(value: string): void {
  if (!isTrue(value) && !isFalse(value)) throw invalid(`Invalid value for a boolean "${value}"`);
}

export function isInteger(value: string): void {
  if (!/^[+-]?\d+$/.test(value) || BigInt.asIntN(64, BigInt(value.replace('+', ''))) !== BigInt(value.replace('+', ''))) {
    throw invalid(`Invalid value for an integer "${value}"`);
  }
}

export function isOneOf(...allowed: string[]): (value: string) => void {
  return (value) => {
    if (!allowed.includes(value)) throw invalid(`Invalid value "${value}" (not one of [${allowed.join(' ')}])`);
  };
}

/** All keys of one kind of entity: exact names first, then open prefixes such as `user.` (declared with a trailing dot). */
export class KeyGroup {
  constructor(
    readonly entity: string,
    readonly keys: Readonly<Record<string, KeySpec>>,
    readonly prefixes: Readonly<Record<string, KeySpec>> = {},
  ) {}

  find(name: string): KeySpec | undefined {
    if (Object.hasOwn(this.keys, name)) return this.keys[name];
    const prefix = Object.keys(this.prefixes).find((p) => name.startsWith(p) && name.length > p.length);
    return prefix === undefined ? undefined : this.prefixes[prefix];
  }
}
