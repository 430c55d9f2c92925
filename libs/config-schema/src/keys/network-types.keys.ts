import { isAnyIpAddress, isHostAddress, isInterfaceName, isIpRange, isListOf, isMtu, isNetwork, isVlan, type Family } from '../checks/address.checks.js';
import { invalid } from '#kernel';
import { isOneOf, key, KeyGroup, type KeySpec } from '../key.js';
import { findBridgeKey } from './network-bridge.keys.js';

const { string, bool, integer } = key;
const global = { scope: 'global', liveUpdate: true } as const;

const parent = (short: string): KeySpec => string({ scope: 'local', required: true, short, check: (value) => (value === '' ? refuseEmpty() : isInterfaceName(value)) });
const mtu = integer({ ...global, short: 'MTU of the new interface', check: isMtu });
const vlan = integer({ ...global, short: 'VLAN to attach to', check: isVlan });
const gvrp = bool({ ...global, default: 'false', short: 'Register the VLAN by GVRP' });
const maas = {
  'maas.subnet.ipv4': string({ ...global, short: 'Name of the subnet in a MAAS server (kept, without effect)' }),
  'maas.subnet.ipv6': string({ ...global, short: 'Name of the subnet in a MAAS server (kept, without effect)' }),
};
const user = { 'user.': string({ short: 'Anything, for people and their tools' }) };

function refuseEmpty(): never {
  throw invalid('Required value');
}

function uplinkKeys(family: Family): Record<string, KeySpec> {
  const p = `ipv${family}`;
  return {
    [`${p}.gateway`]: string({ ...global, short: 'Address of the gateway and its network, as CIDR', check: isHostAddress(family) }),
    [`${p}.ovn.ranges`]: string({ ...global, short: 'Ranges kept for routers of child networks', check: isListOf(isIpRange(family)) }),
    [`${p}.routes`]: string({ ...global, short: 'Further subnets child networks may use', check: isListOf(isNetwork(family)) }),
    [`${p}.routes.anycast`]: bool({ ...global, default: 'false', short: 'Let several child networks use the same subnets' }),
  };
}

/** Keys of a network whose NICs are macvlans on a link of the host. */
export const networkMacvlanKeys = new KeyGroup('network-macvlan', { gvrp, mtu, parent: parent('Link of the host to make macvlan NICs on'), vlan, ...maas }, user);

/** Keys of a network whose NICs are virtual functions of a link of the host. */
export const networkSriovKeys = new KeyGroup('network-sriov', { mtu, parent: parent('Link of the host whose virtual functions become NICs'), vlan, ...maas }, user);

/** Keys of a network that is a link of the host. */
export const networkPhysicalKeys = new KeyGroup('network-physical', {
  gvrp, mtu, parent: parent('Link of the host that is the network'), vlan, ...maas, ...uplinkKeys(4), ...uplinkKeys(6),
  'dns.nameservers': string({ ...global, short: 'Addresses of name servers', check: isListOf(isAnyIpAddress) }),
  'ovn.ingress_mode': string({ ...global, default: 'l2proxy', short: 'How addresses of child networks are announced', check: isOneOf('l2proxy', 'routed') }),
}, user);

const groups: Readonly<Record<string, KeyGroup>> = { macvlan: networkMacvlanKeys, sriov: networkSriovKeys, physical: networkPhysicalKeys };

/** Types of managed networks there are here. */
export const networkTypes: readonly string[] = ['bridge', ...Object.keys(groups)];

/** The declaration of a key of a type of network; undefined for one it does not have. */
export function findNetworkKey(type: string, name: string): KeySpec | undefined {
  const group = groups[type];
  if (group === undefined) return findBridgeKey(name);
  if (type === 'physical' && name.startsWith('bgp.')) return findBridgeKey(name);
  return name === 'user.' ? group.prefixes['user.'] : group.find(name);
}

/** Keys a network of a type must have. */
export function requiredNetworkKeys(type: string): string[] {
  return Object.entries(groups[type]?.keys ?? {}).filter(([, spec]) => spec.required === true).map(([name]) => name);
}
