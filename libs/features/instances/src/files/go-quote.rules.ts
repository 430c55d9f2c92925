const named: Readonly<Record<number, string>> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 34: '\\"', 92: '\\\\' };

/** A text as Go's `%q` shows it. Bytes that are no UTF-8 stand as `\x..`. */
export function goQuote(bytes: Buffer): string {
  let text = '"';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    const code = length === 0 ? bytes[at]! : bytes.toString('utf8', at, at + length).codePointAt(0)!;
    text += length === 0 ? hex('\\x', code, 2) : quoteCharacter(code);
    at += Math.max(1, length);
  }
  return `${text}"`;
}

function quoteCharacter(code: number): string {
  const name = named[code];
  if (name !== undefined) return name;
  if (code < 0x20 || code === 0x7f) return hex('\\x', code, 2);
  const character = String.fromCodePoint(code);
  if (code < 0x7f || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) return character;
  return code > 0xffff ? hex('\\U', code, 8) : hex('\\u', code, 4);
}

/** Bytes of the character here; 0 when they are none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  const length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length <= 1) return length;
  const text = bytes.toString('utf8', at, at + length);
  return at + length <= bytes.length && Buffer.from(text, 'utf8').equals(bytes.subarray(at, at + length)) && [...text].length === 1 ? length : 0;
}

function hex(prefix: string, code: number, digits: number): string {
  return `${prefix}${code.toString(16).padStart(digits, '0')}`;
}
