/** `Range: bytes=first-last` of a file; null for the whole file (no header, or one that asks for several ranges). */
export function parseRange(header: string | undefined, sizeBytes: number): { first: number; last: number } | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return null;
  const suffix = match[1] === '';
  const first = suffix ? Math.max(0, sizeBytes - Number(match[2])) : Number(match[1]);
  const last = suffix || match[2] === '' ? sizeBytes - 1 : Math.min(Number(match[2]), sizeBytes - 1);
  return first > last || first >= sizeBytes ? 'unsatisfiable' : { first, last };
}
