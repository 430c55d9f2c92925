import { internal, isTrue } from '#kernel';
import type { ConfigMap } from '#api-types';
import type { IdmapEntry } from '#ports';

/** Ids an isolated instance has unless it asks for more; and how far its range keeps from the shared one's start. */
const isolatedSize = 65_536;

/** What is taken by other isolated instances of the member. */
export interface TakenRange {
  readonly base: number;
  readonly size: number;
}

export interface IdmapAllocation {
  readonly base: number;
  readonly map: IdmapEntry[];
}

/** Configuration keys whose change asks for a new allocation. */
export const idmapKeys = ['security.idmap.isolated', 'security.idmap.base', 'security.idmap.size', 'security.privileged', 'raw.idmap'] as const;

export function isPrivileged(config: Readonly<ConfigMap>): boolean {
  return isTrue(config['security.privileged']);
}

export function isIsolated(config: Readonly<ConfigMap>): boolean {
  return !isPrivileged(config) && isTrue(config['security.idmap.isolated']);
}

/** Number of ids an isolated instance wants. */
export function isolatedIdmapSize(config: Readonly<ConfigMap>): number {
  const size = config['security.idmap.size'] ?? '';
  return size === '' || size === 'auto' ? isolatedSize : Number(size);
}

/**
 * Which ids of the host an instance maps to. Privileged: none. Shared: all the host offers, base 0. Isolated: a range of its own, the first
 * gap after the first 65536 ids, unless `security.idmap.base` names it. `raw.idmap` is cut in at the end.
 */
export function allocateIdmap(config: Readonly<ConfigMap>, host: readonly IdmapEntry[], taken: readonly TakenRange[]): IdmapAllocation {
  if (isPrivileged(config)) return { base: 0, map: [] };
  const raw = parseRawIdmap(config['raw.idmap'] ?? '');
  const first = host[0];
  if (first === undefined) throw internal("LXD doesn't have a uid/gid allocation. In this mode, only privileged containers are supported");
  if (!isIsolated(config)) return { base: 0, map: mergeRaw(host, raw) };
  const size = isolatedIdmapSize(config);
  const wanted = config['security.idmap.base'] ?? '';
  const base = wanted === '' ? firstGap(first.hostId + isolatedSize, first.hostId + first.range, size, taken) : Number(wanted);
  const entry = (isUid: boolean): IdmapEntry => ({ isUid, isGid: !isUid, hostId: base, nsId: 0, range: size });
  return { base, map: mergeRaw([entry(true), entry(false)], raw) };
}

function firstGap(start: number, end: number, size: number, taken: readonly TakenRange[]): number {
  let base = start;
  for (const range of [...taken].sort((a, b) => a.base - b.base)) {
    if (range.base + range.size <= base) continue;
    if (base + size <= range.base) break;
    base = range.base + range.size;
  }
  if (base + size > end) throw internal('Not enough uid/gid available for the container');
  return base;
}

/** Lines `both|uid|gid HOST INSTANCE`, each id a number or a range `a-b`. */
export function parseRawIdmap(text: string): IdmapEntry[] {
  const entries: IdmapEntry[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const refuse = (): never => {
      throw internal(`Invalid ID map line "${line}"`);
    };
    const [kind, host, inside, ...rest] = line.split(/\s+/).filter((word) => word !== '');
    if (kind === undefined || host === undefined || inside === undefined || rest.length > 0) return refuse();
    if (!['both', 'uid', 'gid'].includes(kind)) return refuse();
    const [hostFirst, hostCount] = parseIdRange(host) ?? refuse();
    const [nsFirst, nsCount] = parseIdRange(inside) ?? refuse();
    if (hostCount !== nsCount) return refuse();
    entries.push({ isUid: kind !== 'gid', isGid: kind !== 'uid', hostId: hostFirst, nsId: nsFirst, range: hostCount });
  }
  return entries;
}

function parseIdRange(text: string): [first: number, count: number] | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (!match) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return last < first ? undefined : [first, last - first + 1];
}

function mergeRaw(map: readonly IdmapEntry[], raw: readonly IdmapEntry[]): IdmapEntry[] {
  return raw.reduce(cutIn, [...map]);
}

/** Puts one entry into a map, splitting those it overlaps inside the instance. Order is LXD's, since the text of the map is stored. */
function cutIn(map: readonly IdmapEntry[], cut: IdmapEntry): IdmapEntry[] {
  const result: IdmapEntry[] = [];
  let placed = false;
  for (const entry of map) {
    const sameKind = (entry.isUid && cut.isUid) || (entry.isGid && cut.isGid);
    if (!sameKind || !overlaps(entry.nsId, entry.range, cut.nsId, cut.range)) {
      result.push(entry);
      continue;
    }
    if (overlaps(entry.hostId, entry.range, cut.hostId, cut.range)) throw internal('Host id is in the range of subids');
    placed = true;
    const before = cut.nsId - entry.nsId;
    if (before > 0) result.push({ ...entry, range: before });
    result.push(cut);
    const skipped = cut.nsId + cut.range - entry.nsId;
    if (skipped < entry.range) result.push({ ...entry, hostId: entry.hostId + skipped, nsId: entry.nsId + skipped, range: entry.range - skipped });
  }
  if (!placed) result.push(cut);
  return result;
}

function overlaps(aStart: number, aRange: number, bStart: number, bRange: number): boolean {
  return aStart < bStart + bRange && bStart < aStart + aRange;
}

/** The text LXD keeps in `volatile.idmap.*`. */
export function idmapToText(map: readonly IdmapEntry[]): string {
  return JSON.stringify(map.map((e) => ({ Isuid: e.isUid, Isgid: e.isGid, Hostid: e.hostId, Nsid: e.nsId, Maprange: e.range })));
}

/** Uid on the host of root inside, by the map an instance runs with. */
export function rootOnHost(config: Readonly<ConfigMap>): number {
  const map = idmapFromText(config['volatile.idmap.current']);
  return map.find((entry) => entry.isUid && entry.nsId === 0)?.hostId ?? 0;
}

interface IdmapText {
  readonly Isuid: boolean;
  readonly Isgid: boolean;
  readonly Hostid: number;
  readonly Nsid: number;
  readonly Maprange: number;
}

/** Reads what `idmapToText` wrote. */
export function idmapFromText(text: string | undefined): IdmapEntry[] {
  if (text === undefined || text === '') return [];
  return (JSON.parse(text) as IdmapText[]).map((e) => ({ isUid: e.Isuid, isGid: e.Isgid, hostId: e.Hostid, nsId: e.Nsid, range: e.Maprange }));
}
