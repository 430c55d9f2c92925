import type { IdmapEntry } from '#ports';

/** Names are Go's, as they stand in `volatile.idmap.*` and `volatile.last_state.idmap`. */
interface WireEntry {
  Isuid?: boolean;
  Isgid?: boolean;
  Hostid?: number;
  Nsid?: number;
  Maprange?: number;
}

/** The text of `volatile.last_state.idmap`; absent, empty or unreadable text is no shift. */
export function parseIdmap(text: string | undefined): IdmapEntry[] {
  if (!text) return [];
  try {
    return (JSON.parse(text) as WireEntry[]).map((entry) => ({
      isUid: entry.Isuid === true, isGid: entry.Isgid === true, hostId: entry.Hostid ?? 0, nsId: entry.Nsid ?? 0, range: entry.Maprange ?? 0,
    }));
  } catch {
    return [];
  }
}

export function formatIdmap(entries: readonly IdmapEntry[]): string {
  return JSON.stringify(entries.map((entry) => ({
    Isuid: entry.isUid, Isgid: entry.isGid, Hostid: entry.hostId, Nsid: entry.nsId, Maprange: entry.range,
  })));
}

/** Id on the host of an id inside; the id itself for a privileged container, null for one that is not mapped. */
export function hostId(entries: readonly IdmapEntry[], id: number, kind: 'uid' | 'gid'): number | null {
  if (entries.length === 0) return id;
  const entry = entries.find((e) => (kind === 'uid' ? e.isUid : e.isGid) && id >= e.nsId && id < e.nsId + e.range);
  return entry === undefined ? null : entry.hostId + id - entry.nsId;
}
