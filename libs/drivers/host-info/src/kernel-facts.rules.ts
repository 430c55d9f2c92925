import type { IdmapEntry } from '#ports';

/** Architectures a machine runs natively, by LXD's names, its own first. */
export function architecturesOf(machine: string): string[] {
  switch (machine) {
    case 'x86_64': return ['x86_64', 'i686'];
    case 'aarch64': return ['aarch64', 'armv7l'];
    case 'i386': case 'i586': case 'i686': return ['i686'];
    default: return [machine];
  }
}

const smallestRange = 65_536;

/**
 * Ids root may hand to containers: root's first line of /etc/subuid and of /etc/subgid (`root:first:count`) with at least 65536 ids.
 * Where a file gives root nothing, 1000000 to 1000999999, which no distribution gives to people.
 */
export function rootIdmap(subuid: string, subgid: string): IdmapEntry[] {
  const entry = (text: string, isUid: boolean): IdmapEntry => {
    const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim().split(':')).filter(([user]) => user === 'root');
    const own = lines.map(([, first, count]) => ({ hostId: Number(first), range: Number(count) })).find(({ hostId, range }) => hostId >= 0 && range >= smallestRange);
    return { isUid, isGid: !isUid, nsId: 0, ...(own ?? { hostId: 1_000_000, range: 1_000_000_000 }) };
  };
  return [entry(subuid, true), entry(subgid, false)];
}

/** Values of /etc/os-release without their quotes. */
export function parseOsRelease(text: string): Map<string, string> {
  return new Map(text.split('\n').filter((line) => line.includes('=')).map((line) => {
    const [name = '', value = ''] = line.split(/=(.*)/s);
    return [name, value.replace(/^(["'])(.*)\1$/, '$2')] as const;
  }));
}
