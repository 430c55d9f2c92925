import { isTrue } from '#kernel';
import type { ConfigMap } from '#api-types';

export interface Bootable {
  readonly name: string;
  readonly project: string;
  /** Expanded and merged with the member's own keys. */
  readonly config: Readonly<ConfigMap>;
}

/**
 * Which stopped instances to start when the daemon does: those with `boot.autostart` true, and those without the key that ran when
 * the host went down. Highest `boot.autostart.priority` first, then by name.
 */
export function instancesToStart<T extends Bootable>(stopped: readonly T[]): T[] {
  const chosen = stopped.filter(({ config }) => {
    const wanted = config['boot.autostart'] ?? '';
    return wanted === '' ? config['volatile.last_state.power'] === 'RUNNING' : isTrue(wanted);
  });
  return chosen.sort((a, b) => priority(b, 'boot.autostart.priority') - priority(a, 'boot.autostart.priority') || byName(a, b));
}

/** Milliseconds to wait after starting this one before the next. */
export function startDelayMs({ config }: Bootable): number {
  return Number(config['boot.autostart.delay'] ?? 0) * 1000 || 0;
}

/** Running instances in the groups in which they are stopped: highest `boot.stop.priority` first; a group is stopped at once. */
export function stopGroups<T extends Bootable>(running: readonly T[]): T[][] {
  const groups = new Map<number, T[]>();
  for (const instance of running) {
    const key = priority(instance, 'boot.stop.priority');
    groups.set(key, [...(groups.get(key) ?? []), instance]);
  }
  return [...groups.keys()].sort((a, b) => b - a).map((key) => groups.get(key)!.sort(byName));
}

/** Seconds an instance has for a clean stop when the host goes down, as milliseconds. */
export function hostShutdownTimeoutMs({ config }: Bootable): number {
  return (Number(config['boot.host_shutdown_timeout'] ?? '') || 30) * 1000;
}

function priority({ config }: Bootable, key: string): number {
  return Number(config[key] ?? 0) || 0;
}

function byName(a: Bootable, b: Bootable): number {
  if (a.project !== b.project) return a.project < b.project ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
