import type { IdmapEntry } from '#ports';

/** Major and minor number of a kernel release, as one number that can be compared: 5.12 is 5012. */
export function kernelLevel(release: string): number {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return major * 1000 + minor;
}

/**
 * What `environment.kernel_features` says. Interfaces of the kernel that came with a version are told by the version (5.12 idmapped
 * mounts, 5.0 addresses by namespace, 5.5 continuing a caught call, 4.18 events to namespaces, 4.14 file capabilities of namespaces).
 */
export function kernelFeatures(release: string, seccompActions: readonly string[], fileSystems: readonly string[]): Record<string, string> {
  const level = kernelLevel(release);
  const listener = seccompActions.includes('user_notif');
  const features = {
    idmapped_mounts: level >= 5012, netnsid_getifaddrs: level >= 5000, seccomp_listener: listener, seccomp_listener_continue: listener && level >= 5005,
    shiftfs: fileSystems.includes('shiftfs'), uevent_injection: level >= 4018, unpriv_fscaps: level >= 4014,
  };
  return Object.fromEntries(Object.entries(features).map(([name, has]) => [name, String(has)]));
}

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
 * Ids root may hand to containers: root's lines of /etc/subuid and /etc/subgid (`root:first:count`) with at least 65536 ids. Where a
 * file gives root nothing, 1000000 to 1000999999, which no distribution gives to people.
 */
export function rootIdmap(subuid: string, subgid: string): IdmapEntry[] {
  const ranges = (text: string, isUid: boolean): IdmapEntry[] => {
    const own = text.split('\n').map((line) => line.trim().split(':')).filter(([user]) => user === 'root' || user === '0')
      .map(([, first, count]) => ({ hostId: Number(first), range: Number(count) })).filter(({ hostId, range }) => hostId > 0 && range >= smallestRange);
    const used = own.length > 0 ? own : [{ hostId: 1_000_000, range: 1_000_000_000 }];
    let nsId = 0;
    return used.map(({ hostId, range }) => {
      const entry = { isUid, isGid: !isUid, hostId, nsId, range };
      nsId += range;
      return entry;
    });
  };
  return [...ranges(subuid, true), ...ranges(subgid, false)];
}

/** Values of /etc/os-release without their quotes. */
export function parseOsRelease(text: string): Map<string, string> {
  return new Map(text.split('\n').filter((line) => line.includes('=')).map((line) => {
    const [name = '', value = ''] = line.split(/=(.*)/s);
    return [name, value.replace(/^(["'])(.*)\1$/, '$2')] as const;
  }));
}
