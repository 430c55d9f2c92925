import { zeroTime, type Image, type ImageAlias } from '#api-types';
import { invalid } from '#kernel';
import type { ImageRow } from '../data/images.repository.js';

/** The wire shape; the order of fields is LXD's. */
export function imageApi(row: ImageRow, aliases: readonly ImageAlias[]): Image {
  return {
    auto_update: row.autoUpdate, properties: sorted(row.properties), public: row.public, expires_at: row.expiresAt, profiles: [...row.profiles],
    aliases: aliases.map(({ name, description }) => ({ name, description })), architecture: row.architecture, cached: row.cached,
    filename: row.filename, fingerprint: row.fingerprint, size: row.sizeBytes,
    ...(row.source === null ? {} : { update_source: row.source }),
    type: row.type, created_at: row.createdAt, last_used_at: row.lastUsedAt, uploaded_at: row.uploadedAt,
  };
}

/** LXD shows maps in order of their keys. */
function sorted(map: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What LXD's ETag of an image covers. */
export function imageEtag(row: ImageRow): unknown {
  return [row.public, row.autoUpdate, row.properties];
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** A time of a request, with the fraction's trailing zeros dropped; `invalid` in the decoder's words. */
export function parseTime(text: string): string {
  if (text === zeroTime) return text;
  if (!rfc3339.test(text) || Number.isNaN(Date.parse(text))) {
    throw invalid(`parsing time "\\"${text}\\"" as "\\"2006-01-02T15:04:05Z07:00\\"": cannot parse "${text}\\"" as "2006"`);
  }
  return trimFraction(text);
}

/** Seconds since 1970 to RFC 3339; 0 is "never". */
export function fromUnix(seconds: number): string {
  return seconds === 0 ? zeroTime : trimFraction(new Date(seconds * 1000).toISOString());
}

function trimFraction(text: string): string {
  return text.replace(/(\.\d*?)0+(Z|[+-]\d\d:\d\d)$/, '$1$2').replace(/\.(Z|[+-]\d\d:\d\d)$/, '$1');
}
