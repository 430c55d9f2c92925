import { invalid } from '#kernel';
import { localMinute, isUnset } from '../../output/times.js';
import { bytesIec } from '../../output/units.js';
import type { InstanceView } from '../instance-shape.js';

export interface InstanceStateView {
  readonly status: string;
  readonly pid: number;
  readonly processes: number;
  readonly cpu: { readonly usage: number };
  readonly memory: { readonly usage: number; readonly usage_peak: number; readonly swap_usage: number; readonly swap_usage_peak: number; readonly total?: number };
  readonly disk: Readonly<Record<string, { readonly usage: number; readonly total?: number }>> | null;
  readonly network: Readonly<Record<string, NetworkStateView>> | null;
}

export interface NetworkStateView {
  readonly type: string;
  readonly state: string;
  readonly hwaddr: string;
  readonly host_name: string;
  readonly mtu: number;
  readonly addresses: readonly { readonly family: string; readonly address: string; readonly netmask: string; readonly scope: string }[] | null;
  readonly counters: { readonly bytes_received: number; readonly bytes_sent: number; readonly packets_received: number; readonly packets_sent: number };
}

export interface SnapshotView {
  readonly name: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly stateful: boolean;
}

export interface FullInstance extends InstanceView {
  readonly state: InstanceStateView | null;
  readonly snapshots: readonly SnapshotView[] | null;
}

export interface Column {
  readonly heading: string;
  readonly value: (instance: FullInstance) => string;
  readonly needs?: 'state' | 'snapshots';
  /** Longest shown; -1: any length. */
  readonly width?: number;
}

function addresses(instance: FullInstance, family: string): string {
  if (instance.status_code !== 103 && instance.status_code !== 113) return '';
  const found: string[] = [];
  for (const [name, network] of Object.entries(instance.state?.network ?? {})) {
    if (network.type === 'loopback') continue;
    for (const one of network.addresses ?? []) if (!['link', 'local'].includes(one.scope) && one.family === family) found.push(`${one.address} (${name})`);
  }
  return found.sort().reverse().join('\n');
}

/** Whether anything that the server measures can be shown. */
const running = (instance: FullInstance): boolean => instance.status === 'Running' && instance.state !== null;

const root = (instance: FullInstance): Readonly<Record<string, string>> | undefined => Object.values(instance.expanded_devices ?? {}).find((device) => device['type'] === 'disk' && device['path'] === '/' && (device['pool'] ?? '') !== '');

export const columns: Readonly<Record<string, Column>> = {
  4: { heading: 'IPV4', needs: 'state', value: (one) => addresses(one, 'inet') },
  6: { heading: 'IPV6', needs: 'state', value: (one) => addresses(one, 'inet6') },
  a: { heading: 'ARCHITECTURE', value: (one) => one.architecture },
  b: { heading: 'STORAGE POOL', value: (one) => root(one)?.['pool'] ?? '' },
  c: { heading: 'CREATED AT', value: (one) => (isUnset(one.created_at) ? '' : localMinute(one.created_at)) },
  d: { heading: 'DESCRIPTION', value: (one) => one.description },
  D: { heading: 'DISK USAGE', needs: 'state', value: (one) => (one.state?.disk?.['root'] !== undefined && one.state.disk['root'].usage > 0 ? bytesIec(one.state.disk['root'].usage) : '') },
  e: { heading: 'PROJECT', value: (one) => one.project },
  f: { heading: 'BASE IMAGE', value: (one) => (one.expanded_config?.['volatile.base_image'] ?? '').slice(0, 12) },
  F: { heading: 'BASE IMAGE', value: (one) => one.expanded_config?.['volatile.base_image'] ?? '' },
  l: { heading: 'LAST USED AT', value: (one) => (isUnset(one.last_used_at) ? '' : localMinute(one.last_used_at)) },
  L: { heading: 'LOCATION', value: (one) => one.location },
  m: { heading: 'MEMORY USAGE', needs: 'state', value: (one) => (running(one) && one.state!.memory.usage > 0 ? bytesIec(one.state!.memory.usage) : '') },
  M: {
    heading: 'MEMORY USAGE%', needs: 'state',
    value: (one) => {
      const limit = memoryLimit(one);
      return running(one) && one.state!.memory.usage > 0 && limit > 0 ? `${((one.state!.memory.usage / limit) * 100).toFixed(1)}%` : '';
    },
  },
  n: { heading: 'NAME', value: (one) => one.name },
  N: { heading: 'PROCESSES', needs: 'state', value: (one) => (running(one) ? String(one.state!.processes) : '') },
  p: { heading: 'PID', needs: 'state', value: (one) => (running(one) ? String(one.state!.pid) : '') },
  P: { heading: 'PROFILES', value: (one) => (one.profiles ?? []).join('\n') },
  s: { heading: 'STATE', value: (one) => one.status.toUpperCase() },
  S: { heading: 'SNAPSHOTS', needs: 'snapshots', value: (one) => String(one.snapshots?.length ?? 0) },
  t: {
    heading: 'TYPE',
    value: (one) => {
      const type = (one.type || 'container').toUpperCase();
      return one.ephemeral ? `${type} (EPHEMERAL)` : type;
    },
  },
  u: { heading: 'CPU USAGE', needs: 'state', value: (one) => (running(one) ? `${Math.floor(one.state!.cpu.usage / 1e9)}s` : '') },
};

function memoryLimit(instance: FullInstance): number {
  const text = instance.expanded_config?.['limits.memory'] ?? '';
  const match = /^(\d+)\s*([kKMGTPE]?)(i?)B?$/.exec(text);
  if (match === null || text === '') return 0;
  const power = ' KMGTPE'.indexOf((match[2] ?? '').toUpperCase());
  return Number(match[1]) * (match[3] === 'i' ? 1024 : 1000) ** Math.max(0, power);
}

export interface ColumnOptions {
  readonly clustered: boolean;
  readonly allProjects: boolean;
  /** Nobody asked for these columns: what does not apply is left out in silence. */
  readonly usual: boolean;
}

/** The columns of `-c`. Throws `invalid` for one that is none. */
export function parseColumns(text: string, options: ColumnOptions): Column[] {
  const found: Column[] = [];
  if (options.allProjects && !/(^|,)[^.:]*e/.test(text)) found.push(columns['e']!);
  for (const entry of text.split(',')) {
    if (entry === '') throw invalid(`Empty column entry (redundant, leading or trailing command) in '${text}'`);
    // Keys have a dot or say what they are keys of; all else is letters.
    if (entry.includes('.') || /^(config|devices):/.test(entry) && entry.includes('.')) {
      found.push(keyColumn(entry));
      continue;
    }
    for (const letter of entry) {
      if (letter === 'L' && !options.clustered) {
        if (options.usual) continue;
        throw invalid("Can't specify column L when not clustered");
      }
      const column = columns[letter];
      if (column === undefined) throw invalid(`Unknown column shorthand char '${letter}' in '${entry}'`);
      found.push(column);
    }
  }
  return found;
}

/** `[config:|devices:]key[:heading][:width]` */
function keyColumn(entry: string): Column {
  const words = entry.split(':');
  const of = ['config', 'devices'].includes(words[0]!) ? words.shift()! : 'config';
  if (words.length > 3) throw invalid(`Invalid config key column format (too many fields): '${entry}'`);
  const [key = '', name, widthText] = words;
  const heading = name === undefined || name === '' ? key : name;
  if (widthText !== undefined && !/^-?\d+$/.test(widthText)) throw invalid(`Invalid max width (must be an integer) '${widthText}' in '${entry}'`);
  const width = widthText === undefined ? -1 : Number(widthText);
  if (width < -1) throw invalid(`Invalid max width (must -1, 0 or a positive integer) '${widthText}' in '${entry}'`);
  const limit = width === 0 ? heading.length : width;
  const shown = (text: string): string => (limit >= 0 && text.length > limit ? text.slice(0, limit) : text);
  if (of === 'config') return { heading, value: (one) => shown(one.expanded_config?.[key] ?? '') };
  const [device = '', ...rest] = key.split('.');
  return { heading, value: (one) => shown(one.expanded_devices?.[device]?.[rest.join('.')] ?? '') };
}
