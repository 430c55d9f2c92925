import { findNetworkKey, memberNetworkKeys, requiredNetworkKeys, type KeySpec } from '#config-schema';
import { invalid, isFalse, messageOf } from '#kernel';

export type Config = Readonly<Record<string, string>>;

/** Keys that stay inside: never shown, never taken from a client. `forwards` is no row's: it tells NICs that addresses of their member go on into the network. */
export const hiddenKeys = { hwaddr: 'volatile.bridge.hwaddr', renameTo: 'volatile.rename.to', forwards: 'volatile.forwards' } as const;

/** Without the keys whose value is empty, which means unset. */
export function compact(config: Config | null | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(config ?? {}).filter(([, value]) => value !== ''));
}

/** What belongs to the network everywhere, and what to one member. */
export function splitConfig(config: Config): { common: Config; member: Config } {
  const ofMember = (name: string): boolean => memberNetworkKeys.includes(name) || name.startsWith('volatile.');
  return {
    common: Object.fromEntries(Object.entries(config).filter(([name]) => !ofMember(name))),
    member: Object.fromEntries(Object.entries(config).filter(([name]) => ofMember(name))),
  };
}

/** The first of them that belongs to one member, or to all (`false`). */
export function findKey(config: Config, ofMember: boolean): string | undefined {
  return Object.keys(config).sort().find((name) => memberNetworkKeys.includes(name) === ofMember);
}

/** Without what only we know, keys in order. */
export function visibleConfig(config: Config): Record<string, string> {
  const shown = Object.entries(config).filter(([name]) => !name.startsWith('volatile.'));
  return Object.fromEntries(shown.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Name of a managed network. A bridge's becomes a link of the host, others name no link. LXD's wording. */
export function validateNetworkName(type: string, name: string): void {
  if (type !== 'bridge') {
    const forbidden = [':', '/'].find((character) => name.includes(character));
    if (forbidden !== undefined) throw invalid(`Cannot contain "${forbidden}"`);
    if (name === '.' || name === '..') throw invalid(`Invalid network name "${name}"`);
    return;
  }
  if (name.length < 2) throw invalid('Network interface is too short (minimum 2 characters)');
  if (name.length > 15) throw invalid('Network interface is too long (maximum 15 characters)');
  if (!/^[-_a-zA-Z0-9.]+$/.test(name) || name === '..') throw invalid('Network interface contains invalid characters');
}

/** Refuses unknown keys, values their key does not take, and keys that do not go together. `partial`: what must be there may be elsewhere. `invalid` with LXD's wording. */
export function validateNetworkConfig(type: string, network: string, config: Config, { partial = false } = {}): void {
  const unknown: string[] = [];
  if (!partial) for (const name of requiredNetworkKeys(type)) if ((config[name] ?? '') === '') checkValue(network, name, '', findNetworkKey(type, name)!);
  for (const [name, value] of Object.entries(config)) {
    const spec = findNetworkKey(type, name);
    if (spec === undefined) unknown.push(name);
    else checkValue(network, name, value, spec);
  }
  if (unknown[0] !== undefined) throw invalid(`Invalid option for network "${network}" option "${unknown[0]}"`);
  if (type === 'bridge') checkTogether(network, config);
}

function checkValue(network: string, name: string, value: string, spec: KeySpec): void {
  if (value === '' && spec.required !== true) return;
  try {
    spec.check?.(value, name);
  } catch (error) {
    throw invalid(`Invalid value for network "${network}" option "${name}": ${messageOf(error)}`, { cause: error });
  }
}

function checkTogether(network: string, config: Config): void {
  const lists = (config['security.acls'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
  const twice = lists.find((name, index) => lists.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(`Network ACL "${twice}" specified multiple times`);
  if (Object.keys(config).some((name) => name.startsWith('fan.'))) throw invalid("FAN configuration may only be set when in 'fan' mode");
  for (const name of Object.keys(config)) {
    const tunnel = name.startsWith('tunnel.') ? `${network}-${name.split('.')[1]}` : '';
    if (tunnel.length > 15) throw invalid(`Network name too long for tunnel interface: ${tunnel}`);
  }
  for (const family of ['ipv4', 'ipv6']) checkRouterRanges(family, config);
}

/** Addresses kept for routers of child networks must not be given out by DHCP. */
function checkRouterRanges(family: string, config: Config): void {
  const kept = config[`${family}.ovn.ranges`];
  if (kept === undefined || kept === '') return;
  const given = config[`${family}.dhcp.ranges`] ?? '';
  if (given === '') {
    if (isFalse(config[`${family}.dhcp`])) return;
    throw invalid(`"${family}.ovn.ranges" must be used in conjunction with non-overlapping "${family}.dhcp.ranges" when DHCPv${family.slice(-1)} is enabled`);
  }
  for (const range of kept.split(',').map((item) => item.trim())) {
    if (given.split(',').some((other) => rangesOverlap(range, other.trim()))) {
      throw invalid(`The range specified in "${family}.ovn.ranges" ("${range}") cannot overlap with "${family}.dhcp.ranges"`);
    }
  }
}

function rangesOverlap(a: string, b: string): boolean {
  const [[firstA, lastA], [firstB, lastB]] = [a, b].map((range) => range.split('-').map(sortable)) as [[string, string], [string, string]];
  return firstA <= lastB && firstB <= lastA;
}

/** Text that sorts as the address counts. */
function sortable(address: string): string {
  const text = address.trim();
  if (!text.includes(':')) return text.split('.').map((part) => part.padStart(3, '0')).join('.');
  const [head = '', tail = ''] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const missing = text.includes('::') ? 8 - groups(head).length - groups(tail).length : 0;
  return [...groups(head), ...Array<string>(Math.max(0, missing)).fill('0'), ...groups(tail)].map((group) => group.toLowerCase().padStart(4, '0')).join(':');
}

/** Keys that differ, with their new values; an empty text for a key that goes. */
export function changedKeys(before: Config, after: Config): Record<string, string> {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries([...names].filter((name) => before[name] !== after[name]).map((name) => [name, after[name] ?? '']));
}

/** Whether a NIC (a device's configuration) is plugged into the network or interface of this name. */
export function nicUses(device: Config, name: string): boolean {
  if (device['type'] !== 'nic') return false;
  return device['network'] === undefined || device['network'] === '' ? device['parent'] === name : device['network'] === name;
}

export function hiddenOf(config: Config): Record<string, string> {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name.startsWith('volatile.')));
}

/** For a bridge; in the range of the Xensource vendor that LXD uses. `hex` is three bytes. */
export function bridgeHwaddr(hex: string): string {
  return ['00', '16', '3e', ...(hex.match(/../g) ?? [])].join(':');
}

/** What a NIC on a network other than a bridge takes from it; its own keys of these names are refused when it is added. */
export function nicConfigOn(type: string, network: Config, nic: Config): Record<string, string> {
  const taken = ['parent', 'mtu', 'vlan', ...(type === 'macvlan' ? ['gvrp'] : [])].filter((name) => (network[name] ?? '') !== '');
  return { ...nic, nictype: type, ...Object.fromEntries(taken.map((name) => [name, network[name] ?? ''])) };
}

/** Whether two networks would be the same link: one parent, and not two different VLANs of it. */
export function shareParent(a: Config, b: Config): boolean {
  const parent = a['parent'] ?? '';
  if (parent === '' || b['parent'] !== parent) return false;
  const [vlan, other] = [a['vlan'] ?? '', b['vlan'] ?? ''];
  return vlan === '' || other === '' || vlan === other;
}
