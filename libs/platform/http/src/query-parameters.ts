import { isTrue } from '#kernel';

/** `recursion=` of a list: 0 names, 1 objects, 2 objects with their state. Anything that is no number means 0, as with LXD. */
export function parseRecursion(text: string | undefined): 0 | 1 | 2 {
  const value = text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : 0;
  return value >= 2 ? 2 : value === 1 ? 1 : 0;
}

/** Whether the query (Fastify's parsed object) asks for every project. */
export function isAllProjects(query: Readonly<Record<string, unknown>> | string | undefined): boolean {
  const value = typeof query === 'object' ? query['all-projects'] : query;
  return typeof value === 'string' && isTrue(value);
}

/** Path of an API object, each segment escaped, with `?project=` unless it is the default project. */
export function apiUrl(segments: readonly string[], project = 'default', query: Readonly<Record<string, string>> = {}): string {
  const all = project === 'default' ? query : { ...query, project };
  const text = Object.entries(all).map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).join('&');
  return `/${segments.map(escapeSegment).join('/')}${text === '' ? '' : `?${text}`}`;
}

/** Go's `url.PathEscape` leaves these readable; `encodeURIComponent` does not. */
function escapeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(/%(24|26|2B|3A|3D|40)/gi, (hex) => decodeURIComponent(hex));
}
