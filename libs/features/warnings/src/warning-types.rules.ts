/** Names of warning types by number. Numbers and names up to 99 are LXD's (`GET /1.0/warnings` of 5.0.2), those above are Roost's own. */
const names = new Map<number, string>([
  [0, 'Undefined warning'],
  [1000, 'Operation of an unknown kind'],
  [1001, 'Undo of an operation failed'],
]);

const statuses = ['', 'new', 'acknowledged', 'resolved'] as const;

export function warningTypeName(code: number): string {
  return names.get(code) ?? `Warning ${code}`;
}

/** `new`, `acknowledged` or `resolved`; the database keeps 1, 2, 3. */
export function warningStatusName(code: number): string {
  return statuses[code] ?? 'new';
}

/** Null for a word that is no status a client may set. */
export function warningStatusCode(name: string): number | null {
  const code = statuses.indexOf(name as (typeof statuses)[number]);
  return code === 1 || code === 2 ? code : null;
}
