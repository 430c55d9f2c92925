export interface ReplicaMember {
  readonly id: number;
  readonly online: boolean;
}

/**
 * Which members are to fetch an image so that `wanted` hold it (-1 for all): those that are there, the ones after the first holder first, so that
 * images of one member do not all go to the same others. The same on every member that sees the same rows.
 */
export function choosePullers(members: readonly ReplicaMember[], holders: readonly number[], wanted: number): number[] {
  const ids = members.map(({ id }) => id).sort((a, b) => a - b);
  const held = ids.filter((id) => holders.includes(id));
  const missing = (wanted === -1 ? ids.length : Math.min(wanted, ids.length)) - held.length;
  if (held.length === 0 || missing <= 0) return [];
  const start = ids.indexOf(held[0]!);
  const around = [...ids.slice(start + 1), ...ids.slice(0, start)];
  const online = new Set(members.filter((member) => member.online).map(({ id }) => id));
  return around.filter((id) => online.has(id) && !held.includes(id)).slice(0, missing);
}
