import { readFileSync } from 'node:fs';

const two = (value: number): string => String(value).padStart(2, '0');

/** Whether the server means "never": its zero times. */
export function isUnset(time: string | undefined | null): boolean {
  return time === undefined || time === null || time === '' || time.startsWith('0001-01-01T00:00:00') || time.startsWith('1970-01-01T00:00:00');
}

/** `2026/11/21 16:34 UTC`, in the zone of this machine. */
export function localMinute(time: string): string {
  const date = new Date(time);
  return `${date.getFullYear()}/${two(date.getMonth() + 1)}/${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())} ${zoneName(date)}`;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Nov 21, 2026 at 4:36pm (UTC)` */
export function longUtc(time: string): string {
  const date = new Date(time);
  const hour = date.getUTCHours();
  return `${months[date.getUTCMonth()]} ${date.getUTCDate()}, ${date.getUTCFullYear()} at ${hour % 12 === 0 ? 12 : hour % 12}:${two(date.getUTCMinutes())}${hour < 12 ? 'am' : 'pm'} (UTC)`;
}

/** `2026/11/21 16:34 UTC` */
export function utcMinute(time: string): string {
  const date = new Date(time);
  return `${date.getUTCFullYear()}/${two(date.getUTCMonth() + 1)}/${two(date.getUTCDate())} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())} UTC`;
}

/** What the zone calls itself at a moment (`CET`, `CEST`); the offset where the system's tables do not say. */
export function zoneName(date: Date): string {
  const offset = -date.getTimezoneOffset();
  try {
    const zone = process.env['TZ']?.replace(/^:/, '');
    if (zone === undefined ? offset === 0 : zone === '' || zone === 'UTC') return 'UTC';
    const name = abbreviationAt(readFileSync(zone === undefined ? '/etc/localtime' : zone.startsWith('/') ? zone : `/usr/share/zoneinfo/${zone}`), date.getTime() / 1000, offset * 60);
    if (name !== undefined) return name;
  } catch {
    // No such zone: as without tables.
  }
  if (offset === 0) return 'UTC';
  return `${offset < 0 ? '-' : '+'}${two(Math.trunc(Math.abs(offset) / 60))}${offset % 60 === 0 ? '' : two(Math.abs(offset) % 60)}`;
}

/** Looks a moment up in a compiled zone (RFC 8536, second header, 64-bit times); its last rule stands in the footer, found by offset. */
function abbreviationAt(file: Buffer, seconds: number, offset: number): string | undefined {
  if (file.toString('latin1', 0, 4) !== 'TZif') return undefined;
  const counts = (at: number): number[] => [0, 4, 8, 12, 16, 20].map((step) => file.readUInt32BE(at + 20 + step));
  const [isUt = 0, isStd = 0, leap = 0, times = 0, types = 0, chars = 0] = counts(0);
  const start = 44 + times * 5 + types * 6 + chars + leap * 8 + isStd + isUt;
  const [, , , moments = 0, kinds = 0, letters = 0] = counts(start);
  const index = start + 44;
  const infos = index + moments * 9;
  const names = file.toString('latin1', infos + kinds * 6, infos + kinds * 6 + letters);
  const nameOf = (kind: number): string => names.slice(file[infos + kind * 6 + 5]).split('\0')[0]!;
  let kind = 0;
  for (let moment = 0; moment < moments && Number(file.readBigInt64BE(index + moment * 8)) <= seconds; moment++) kind = file[index + moments * 8 + moment]!;
  if (file.readInt32BE(infos + kind * 6) === offset) return nameOf(kind);
  for (let other = kinds - 1; other >= 0; other--) if (file.readInt32BE(infos + other * 6) === offset) return nameOf(other);
  return undefined;
}
