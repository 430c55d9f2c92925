/** What a template works with. Whole numbers are `bigint`, others `number`; objects are maps, so that nothing of ours can be reached through them. */
export type Value = string | bigint | number | boolean | null | readonly Value[] | ReadonlyMap<string, Value> | TemplateFunction;

export class TemplateFunction {
  constructor(readonly name: string, readonly argumentCount: number, readonly call: (argv: readonly Value[]) => Value) {}
}

export function isMap(value: Value): value is ReadonlyMap<string, Value> {
  return value instanceof Map;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function mapOf(record: Readonly<Record<string, Value>>): ReadonlyMap<string, Value> {
  return new Map(Object.entries(record));
}

export function show(value: Value): string {
  if (value === null || value instanceof TemplateFunction) return '';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return value.toFixed(6);
  if (isMap(value)) return `map[${[...value].map(([key, item]) => `${key}:${show(item)}`).join(' ')}]`;
  if (isList(value)) return `[${value.map(show).join(' ')}]`;
  return `${value}`;
}

export function isTruthy(value: Value): boolean {
  if (isMap(value)) return value.size > 0;
  if (isList(value)) return value.length > 0;
  return value !== null && value !== false && value !== '' && value !== 0n && value !== 0;
}

export function lengthOf(value: Value): number {
  if (typeof value === 'string') return [...value].length;
  return isMap(value) ? value.size : isList(value) ? value.length : 0;
}

export function toInteger(value: Value): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return BigInt(Math.trunc(Number.isFinite(value) ? value : 0));
  const text = typeof value === 'string' ? /^\s*[+-]?\d+/.exec(value)?.[0] : undefined;
  return text === undefined ? 0n : BigInt(text.trim());
}

export function toFloat(value: Value): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  const number = typeof value === 'string' ? Number(value) : 0;
  return Number.isFinite(number) ? number : 0;
}

export function isNumber(value: Value): value is bigint | number {
  return typeof value === 'bigint' || typeof value === 'number';
}

/** Values of different types are never equal. */
export function equals(a: Value, b: Value): boolean {
  return typeof a === typeof b && a === b;
}

export function contains(whole: Value, part: Value): boolean {
  if (typeof whole === 'string') return whole.includes(show(part));
  if (isMap(whole)) return whole.has(show(part));
  return isList(whole) && whole.some((item) => equals(item, part));
}

/** What a loop goes through: pairs of a map by its keys, characters of a text. */
export function entriesOf(value: Value): (readonly [Value, Value])[] {
  if (isMap(value)) return [...value].sort(([a], [b]) => (a < b ? -1 : 1));
  if (typeof value === 'string') return [...value].map((character) => [character, null] as const);
  return isList(value) ? value.map((item) => [item, null] as const) : [];
}
