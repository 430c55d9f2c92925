import { z } from 'zod';
import { invalid } from '#kernel';
import type { IdmapEntry, ShiftedPiece } from '#ports';
import type { Config } from './pool-config.rules.js';

const noMap = 'Invalid id map of the volume';
const entriesMax = 128;
const idMax = 2 ** 32 - 1;

const idmap = z.array(z.object({ Isuid: z.boolean(), Isgid: z.boolean(), Hostid: z.number(), Nsid: z.number(), Maprange: z.number() }));

/** A map of ids that somebody else has written: as many entries, and such numbers, as a host can have. @throws `invalid`. */
export function checkedIdmap(map: readonly IdmapEntry[]): readonly IdmapEntry[] {
  const isId = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= idMax;
  if (map.length > entriesMax || !map.every(({ hostId, nsId, range }) => isId(hostId) && isId(nsId) && isId(range))) throw invalid(noMap);
  return map;
}

/** What LXD has shifted the ids in a volume's files by; empty for files that have the container's own. @throws `invalid` for what is no map. */
export function shiftOf(config: Config, key: 'volatile.idmap.last' | 'volatile.last_state.idmap' = 'volatile.idmap.last'): readonly IdmapEntry[] {
  const text = config[key] ?? '';
  if (text === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const result = idmap.nullable().safeParse(value);
  if (!result.success) throw invalid(noMap);
  return checkedIdmap((result.data ?? []).map(({ Isuid, Isgid, Hostid, Nsid, Maprange }) => ({ isUid: Isuid, isGid: Isgid, hostId: Hostid, nsId: Nsid, range: Maprange })));
}

/** Pieces of a volume in whose files LXD has shifted the ids. Each says for itself how they lie: a snapshot may be older than the first shift. @throws `invalid` for what is no map. */
export function shiftedPieces(volume: Config, snapshots: readonly { readonly name: string; readonly config: Config }[]): ShiftedPiece[] {
  const pieces = snapshots.map(({ name, config }) => ({ snapshot: name, idmap: shiftOf(config) }));
  return [...pieces, { snapshot: '', idmap: shiftOf(volume) }].filter(({ idmap: shift }) => shift.length > 0);
}

/** Here files keep the container's own ids, and nothing is said of how they are shifted. */
export function withoutShift(config: Config): Record<string, string> {
  const { 'volatile.idmap.last': _last, 'volatile.idmap.next': _next, ...others } = config;
  return others;
}
