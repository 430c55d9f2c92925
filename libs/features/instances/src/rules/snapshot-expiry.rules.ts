import { invalid } from '#kernel';

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
