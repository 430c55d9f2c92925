import { parseCpuList } from '#host';

export interface PinnedInstance {
  readonly projectName: string;
  /** `limits.cpu`: empty for all CPUs, a count, or a list (`0-3,5`). */
  readonly limit: string;
}

/**
 * Which CPUs each instance may use; those without a limit are left out. A list is taken as it is (what of it exists here; nothing if
 * none does). A count gets the CPUs that fewest others are pinned to: larger counts first, then by name, so that the same instances
 * always give the same answer.
 */
export function pinCpus(online: readonly number[], instances: readonly PinnedInstance[]): Map<string, number[]> {
  const pinned = new Map<string, number[]>();
  const load = new Map(online.map((cpu) => [cpu, 0]));
  const take = (projectName: string, cpus: number[]): void => {
    pinned.set(projectName, cpus);
    for (const cpu of cpus) load.set(cpu, (load.get(cpu) ?? 0) + 1);
  };
  const counted: { projectName: string; count: number }[] = [];
  for (const { projectName, limit } of instances) {
    if (/^\d+$/.test(limit)) counted.push({ projectName, count: Number(limit) });
    else if (limit !== '') {
      const cpus = (parseCpuList(limit) ?? []).filter((cpu) => load.has(cpu));
      if (cpus.length > 0) take(projectName, cpus);
    }
  }
  counted.sort((a, b) => b.count - a.count || (a.projectName < b.projectName ? -1 : 1));
  for (const { projectName, count } of counted) {
    const free = [...load.keys()].sort((a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0) || a - b);
    take(projectName, free.slice(0, Math.max(count, 1)).sort((a, b) => a - b));
  }
  return pinned;
}
