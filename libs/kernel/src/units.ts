import { invalid } from './errors.js';

const byteUnits: Readonly<Record<string, number>> = {
  '': 1, B: 1, bytes: 1,
  kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, PB: 1e15, EB: 1e18,
  KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, PiB: 2 ** 50, EiB: 2 ** 60,
};

/** `10GiB`, `500MB`, `1024` to bytes. Units as LXD's `limits.memory` and `size` take them; the empty text is 0. */
export function parseByteSize(text: string): number {
  if (text === '') return 0;
  const match = /^(\d+)\s*([A-Za-z]*)$/.exec(text);
  const factor = match ? byteUnits[match[2] ?? ''] : undefined;
  if (!match || factor === undefined) throw invalid(`Invalid value: ${text}`);
  const bytes = Number(match[1]) * factor;
  if (bytes > Number.MAX_SAFE_INTEGER) throw invalid(`Value is too large: ${text}`);
  return bytes;
}

const bitUnits: Readonly<Record<string, number>> = {
  '': 1, bit: 1, kbit: 1e3, Mbit: 1e6, Gbit: 1e9, Tbit: 1e12, Pbit: 1e15, Ebit: 1e18,
  Kibit: 2 ** 10, Mibit: 2 ** 20, Gibit: 2 ** 30, Tibit: 2 ** 40, Pibit: 2 ** 50, Eibit: 2 ** 60,
};

/** `100Mbit`, `1000` to bits. Units as LXD's `limits.ingress` takes them; the empty text is 0. */
export function parseBitSize(text: string): number {
  if (text === '') return 0;
  const match = /^(\d+)\s*([A-Za-z]*)$/.exec(text);
  const factor = match ? bitUnits[match[2] ?? ''] : undefined;
  if (!match || factor === undefined) throw invalid(`Invalid value: ${text}`);
  return Number(match[1]) * factor;
}

/** LXD's booleans: true/1/yes/on and false/0/no/off, any case; anything else (the empty text included) is false. */
export function isTrue(text: string | undefined): boolean {
  return text !== undefined && ['true', '1', 'yes', 'on'].includes(text.toLowerCase());
}

export function isTrueOrEmpty(text: string | undefined): boolean {
  return text === undefined || text === '' || isTrue(text);
}

export function isFalse(text: string | undefined): boolean {
  return text !== undefined && ['false', '0', 'no', 'off'].includes(text.toLowerCase());
}
