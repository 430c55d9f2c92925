import { z } from 'zod';
import { invalid } from '#kernel';
import type { IdmapEntry } from '#ports';
import type { Config } from './pool-config.rules.js';

const id = z.number().int().min(0).max(2 ** 32 - 1);
const idmap = z.array(z.object({ Isuid: z.boolean(), Isgid: z.boolean(), Hostid: id, Nsid: id, Maprange: id })).max(128);

/** What LXD has shifted the ids in a volume's files by; empty for files that have the container's own. @throws `invalid` for what is no map. */
export function shiftOf(config: Config): IdmapEntry[] {
  const text = config['volatile.idmap.last'] ?? '';
  if (text === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const result = idmap.nullable().safeParse(value);
  if (!result.success) throw invalid('Invalid id map of the volume');
  return (result.data ?? []).map(({ Isuid, Isgid, Hostid, Nsid, Maprange }) => ({ isUid: Isuid, isGid: Isgid, hostId: Hostid, nsId: Nsid, range: Maprange }));
}

/** Here files keep the container's own ids, and nothing is said of how they are shifted. */
export function withoutShift(config: Config): Record<string, string> {
  const { 'volatile.idmap.last': _last, 'volatile.idmap.next': _next, ...others } = config;
  return others;
}
