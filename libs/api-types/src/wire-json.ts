const unsafe = /[<>&\u2028\u2029]/;
const unsafeAll = /[<>&\u2028\u2029]/g;

const separators = /[\u2028\u2029]/g;

/** JSON as LXD writes the metadata of an answer: compact, nothing escaped but the two line separators. Errors and events use `encodeJson`. */
export function encodeMetadata(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return unsafe.test(text) ? text.replace(separators, (c) => `\\u${c.charCodeAt(0).toString(16)}`) : text;
}

/** JSON as LXD's encoder writes it in errors, events and hashes: compact, with `<`, `>`, `&` and the two line separators escaped. */
export function encodeJson(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return unsafe.test(text) ? text.replace(unsafeAll, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`) : text;
}

/** The same with the keys of every object sorted, so that equal content gives equal text whatever order it was built in. */
export function encodeCanonicalJson(value: unknown): string {
  return encodeJson(sortKeys(value));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== 'object' || 'toJSON' in value) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sortKeys(v)]));
}

/** JSON that is ready to be sent; for answers that change more rarely than they are asked for. */
export class EncodedJson {
  private constructor(readonly text: string) {}

  static of(value: unknown): EncodedJson {
    return new EncodedJson(encodeMetadata(value));
  }
}
