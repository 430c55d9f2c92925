import type { ConfigMap, DeviceMap } from '#api-types';
import { nicTypeOf } from '#config-schema';
import { nicNames, sorted } from './expand.rules.js';
import type { NetworkLookup } from './instance-check.rules.js';

const hostDerived = new Set([
  'volatile.last_state.power', 'volatile.last_state.idmap', 'volatile.last_state.ready', 'volatile.idmap.current', 'volatile.apply_template',
  'volatile.apply_quota', 'volatile.vsock_id',
]);
const hostDerivedSuffixes = ['.host_name', '.ceph_rbd', '.apply_quota', '.driver', '.parent', '.slot.name'];
const hostDerivedPart = /^volatile\.[^.]+\.last_state\./;

/**
 * Whether a `volatile.*` key says what the host did and so belongs to the member alone, not to the replicated row: it changes with
 * every start, and starts must work without a quorum (hazards D2). Allocations (addresses, ids, ranges) are rows.
 */
export function isHostDerived(key: string): boolean {
  if (!key.startsWith('volatile.')) return false;
  return hostDerived.has(key) || hostDerivedPart.test(key) || hostDerivedSuffixes.some((suffix) => key.endsWith(suffix));
}

/** A row's config with what this member knows laid over it; an empty local value hides the row's. */
export function mergeVolatile(row: Readonly<ConfigMap>, local: Readonly<ConfigMap> | undefined): ConfigMap {
  if (local === undefined) return row as ConfigMap;
  const merged: ConfigMap = { ...row };
  for (const key in local) {
    if (local[key] === '') delete merged[key];
    else merged[key] = local[key]!;
  }
  return sorted(merged);
}

export interface SeparatedConfig {
  readonly row: ConfigMap;
  readonly local: ConfigMap;
}

/**
 * Takes a config, as users see and send it, apart again. Host-derived keys go to the member's store, but those the row already holds
 * unchanged (from the creation) stay there, so that an ordinary update writes the row alone.
 */
export function separateVolatile(config: Readonly<ConfigMap>, before: SeparatedConfig): SeparatedConfig {
  const row: ConfigMap = {};
  const local: ConfigMap = {};
  for (const [key, value] of Object.entries(config)) {
    if (value === '') continue;
    const own = !isHostDerived(key) || (before.row[key] === value && before.local[key] === undefined);
    (own ? row : local)[key] = value;
  }
  return { row: sorted(row), local };
}

/** Whether two sets of host-derived keys say the same; empty values only hide and do not count. */
export function sameLocal(a: Readonly<ConfigMap>, b: Readonly<ConfigMap>): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => (a[key] ?? '') === (b[key] ?? ''));
}

/** `00:16:3e` and three bytes: what LXD and Xen give. `bytes` returns that many as hex. */
export function newMacAddress(bytes: (count: number) => string): string {
  const hex = bytes(3);
  return `00:16:3e:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`;
}

/** Kinds of NIC that have the address of a link of the host. */
const borrowed = new Set(['physical', 'ipvlan', 'sriov']);

export interface Randomness {
  readonly uuid: () => string;
  readonly hex: (bytes: number) => string;
}

/**
 * The keys that are allocated once and stay: uuid, cloud-init's instance id, an address for each NIC without one of its own. Existing
 * values are kept; addresses of NICs that are gone are dropped.
 */
export function allocateVolatile(config: Readonly<ConfigMap>, expandedDevices: Readonly<DeviceMap>, random: Randomness, network: NetworkLookup = () => undefined): ConfigMap {
  const result: ConfigMap = { ...config };
  result['volatile.uuid'] ||= random.uuid();
  result['volatile.cloud-init.instance-id'] ||= random.uuid();
  const nics = nicNames(expandedDevices);
  for (const name of nics) {
    const device = expandedDevices[name]!;
    const key = `volatile.${name}.hwaddr`;
    if ((device.hwaddr ?? '') !== '') delete result[key];
    else if (!borrowed.has(nicTypeOf(device, device.network ? network(device.network) : undefined))) result[key] ||= newMacAddress(random.hex);
  }
  for (const key of Object.keys(result)) {
    const match = /^volatile\.(.+)\.hwaddr$/.exec(key);
    if (match && !nics.includes(match[1]!)) delete result[key];
  }
  return sorted(result);
}

const cloudInitKeys = ['network-config', 'user-data', 'vendor-data'].flatMap((name) => [`cloud-init.${name}`, `user.${name}`]);

interface Expanded {
  readonly expandedConfig: Readonly<ConfigMap>;
  readonly expandedDevices: Readonly<DeviceMap>;
}

/** Whether cloud-init inside has to take the instance for another one and do everything again: other data, or other interfaces. */
export function concernsCloudInit(before: Expanded, after: Expanded): boolean {
  const interfaces = ({ expandedDevices }: Expanded): string => nicNames(expandedDevices).map((device) => expandedDevices[device]!.name || device).join('\n');
  return cloudInitKeys.some((key) => (before.expandedConfig[key] ?? '') !== (after.expandedConfig[key] ?? '')) || interfaces(before) !== interfaces(after);
}

/** Local keys of devices that are gone, to be unset. */
export function staleLocalKeys(local: Readonly<ConfigMap>, expandedDevices: Readonly<DeviceMap>): string[] {
  return Object.keys(local).filter((key) => {
    const match = /^volatile\.([^.]+)\.(host_name|last_state\.|driver$|parent$)/.exec(key);
    return match !== null && match[1] !== 'last_state' && match[1] !== 'idmap' && !Object.hasOwn(expandedDevices, match[1]!);
  });
}

/** What a copy has from its source: allocations are the copy's own, of what was allocated only the image it came from is kept. */
export function copiedConfig(config: Readonly<ConfigMap>): ConfigMap {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !key.startsWith('volatile.') || key === 'volatile.base_image'));
}

/** The key that has templates for `trigger` rendered with the next start; none where others wait for it already. To be laid over the row and what the member knows. */
export function templateTrigger(row: Readonly<ConfigMap>, local: Readonly<ConfigMap>, trigger: 'copy' | 'rename'): ConfigMap {
  return mergeVolatile(row, local)['volatile.apply_template'] ? {} : { 'volatile.apply_template': trigger };
}

/** What goes with an instance to another member: how ids lie in its files, but neither its links nor whether it ran there. */
export function travellingVolatile(local: Readonly<ConfigMap>): ConfigMap {
  return Object.fromEntries(Object.entries(local).filter(([key]) => !isOfTheMoment(key)));
}

/**
 * A snapshot's config as its instance gets it back: how ids lie in the files comes with the files, but whether it runs and by which links is the
 * present's.
 */
export function restoredConfig(snapshot: Readonly<ConfigMap>, local: Readonly<ConfigMap>): ConfigMap {
  const kept = Object.entries(snapshot).filter(([key]) => !isOfTheMoment(key));
  return Object.fromEntries([...kept, ...Object.entries(local).filter(([key]) => isOfTheMoment(key))]);
}

function isOfTheMoment(key: string): boolean {
  return key === 'volatile.last_state.power' || isLinkKey(key);
}

/** Whether a key tells of a link that a running instance has: its name on the host, and what a lent one was like before. */
export function isLinkKey(key: string): boolean {
  return /^volatile\..+\.(host_name|last_state\.(created|hwaddr|mtu|vf\..+))$/.test(key);
}

const protectedKeys = ['volatile.idmap.base', 'volatile.idmap.current', 'volatile.idmap.next', 'volatile.last_state.idmap'];

/** True when a request would drop one of the keys that say how ids lie on disk. */
export function dropsIdmapKeys(before: Readonly<ConfigMap>, after: Readonly<ConfigMap>): boolean {
  return protectedKeys.some((key) => (before[key] ?? '') !== '' && (after[key] ?? '') === '');
}
