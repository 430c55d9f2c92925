import { internal, invalid } from '#kernel';

/** How snapshots without a name of their own are called. */
const defaultSnapshotPattern = 'snap%d';

/**
 * The name of the next snapshot: `%d` becomes one more than the highest number in use; a name without it that is taken gets `-0`, `-1` and so on.
 * `{{ creation_date|date:"2006-01-02" }}` is the time of the snapshot in Go's layout.
 */
export function nextSnapshotName(pattern: string, taken: readonly string[], now: Date): string {
  const rendered = renderPattern(pattern || defaultSnapshotPattern, now);
  const places = rendered.split('%d').length - 1;
  if (places > 1) throw internal("Snapshot pattern may contain '%d' only once");
  if (places === 1) return rendered.replace('%d', String(nextNumber(rendered, taken)));
  if (!taken.includes(rendered)) return rendered;
  return `${rendered}-${nextNumber(`${rendered}-%d`, taken)}`;
}

function nextNumber(pattern: string, taken: readonly string[]): number {
  const [before = '', after = ''] = pattern.split('%d', 2);
  const numbers = taken.filter((name) => name.startsWith(before) && name.endsWith(after) && name.length > before.length + after.length)
    .map((name) => name.slice(before.length, name.length - after.length)).filter((text) => /^\d+$/.test(text)).map(Number);
  return numbers.length === 0 ? 0 : Math.max(...numbers) + 1;
}

const dayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const monthNames = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
/** Go's words for parts of a time, longest first where one begins another. */
const layoutWords = /January|Jan|Monday|Mon|MST|2006|Z07:00|-07:00|-0700|01|02|03|04|05|06|15|PM|pm|_2|1|2|3|4|5/g;

/** A template as LXD takes it, of which text and the time of creation are known. */
function renderPattern(pattern: string, now: Date): string {
  const rendered = pattern.replace(/\{\{\s*creation_date\s*(?:\|\s*date:\s*(?:"([^"]*)"|'([^']*)')\s*)?\}\}/g, (_, double?: string, single?: string) => {
    const layout = double ?? single;
    return layout === undefined ? `${now.toISOString().replace('T', ' ').replace('Z', '')} +0000 UTC` : formatTime(layout, now);
  });
  if (/\{\{|\{%/.test(rendered)) throw internal(`Invalid snapshot pattern "${pattern}"`);
  return rendered;
}

function formatTime(layout: string, now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const hour12 = now.getUTCHours() % 12 || 12;
  const words: Readonly<Record<string, string>> = {
    2006: String(now.getUTCFullYear()), '06': two(now.getUTCFullYear() % 100), '01': two(now.getUTCMonth() + 1), 1: String(now.getUTCMonth() + 1),
    Jan: monthNames[now.getUTCMonth()]!.slice(0, 3), January: monthNames[now.getUTCMonth()]!, '02': two(now.getUTCDate()), 2: String(now.getUTCDate()),
    _2: String(now.getUTCDate()).padStart(2, ' '), 15: two(now.getUTCHours()), '03': two(hour12), 3: String(hour12), '04': two(now.getUTCMinutes()),
    4: String(now.getUTCMinutes()), '05': two(now.getUTCSeconds()), 5: String(now.getUTCSeconds()), PM: now.getUTCHours() < 12 ? 'AM' : 'PM',
    pm: now.getUTCHours() < 12 ? 'am' : 'pm', Mon: dayNames[now.getUTCDay()]!.slice(0, 3), Monday: dayNames[now.getUTCDay()]!, MST: 'UTC',
    'Z07:00': 'Z', '-07:00': '+00:00', '-0700': '+0000',
  };
  return layout.replace(layoutWords, (word) => words[word] ?? word);
}

const unitMs: Readonly<Record<string, number>> = { S: 1000, M: 60_000, H: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };

/** When a snapshot made now ends by `snapshots.expiry` (`1M 2H 3d 4w 5m 6y`, minutes to years); null for never. The value has been checked. */
export function snapshotExpiry(expression: string, now: Date): Date | null {
  const parts = expression.trim().split(/\s+/).filter((part) => part !== '');
  if (parts.length === 0) return null;
  const end = new Date(now);
  for (const part of parts) {
    const amount = Number(part.slice(0, -1));
    const unit = part.slice(-1);
    if (unit === 'm') end.setUTCMonth(end.getUTCMonth() + amount);
    else if (unit === 'y') end.setUTCFullYear(end.getUTCFullYear() + amount);
    else end.setTime(end.getTime() + amount * (unitMs[unit] ?? 0));
  }
  return end;
}

/** LXD's time of something that never happens. */
export const zeroTime = '0001-01-01T00:00:00Z';

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** A request's `expires_at`: null for the zero time, undefined where none is given. @throws `invalid` in the words of LXD's decoder. */
export function requestedExpiry(text: string | null | undefined): string | null | undefined {
  if (text === undefined || text === null) return undefined;
  if (!rfc3339.test(text)) throw invalid(`parsing time "\\"${text}\\"" as "\\"2006-01-02T15:04:05Z07:00\\"": cannot parse "${text}\\"" as "2006"`);
  return Date.parse(text) <= Date.parse(zeroTime) ? null : text;
}
