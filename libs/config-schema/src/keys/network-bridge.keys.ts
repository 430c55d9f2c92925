import { invalid } from '#kernel';
import { isAnyIpAddress, isHostAddress, isInterfaceName, isIpAddress, isIpRange, isListOf, isMacAddress, isMtu, isNetwork, type Family } from '../checks/address.checks.js';
import { isUint8 } from '../checks/value.checks.js';
import { isOneOf, key, KeyGroup, type KeySpec } from '../key.js';

/** The bridge's own address: `none`, `auto`, or a CIDR with a host part. */
const isBridgeAddress = (family: Family) => (value: string): void => {
  if (value === 'none' || value === 'auto') return;
  isHostAddress(family)(value);
};

function isExternalInterface(value: string): void {
  try {
    isInterfaceName(value);
  } catch (error) {
    throw invalid(`Invalid interface name "${value}": ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** The item is not repeated in the complaint, which names it already. */
function isExternalInterfaces(value: string): void {
  for (const item of value.split(',')) isExternalInterface(item.trim());
}

function isPort(value: string): void {
  if (!/^\d+$/.test(value)) throw invalid(`Invalid value for an integer: ${value}`);
  if (Number(value) > 65535) throw invalid(`Invalid port number: ${value}`);
}

/** No zone can exist before zones do. */
function isExistingZone(value: string): void {
  throw invalid(`Network zone "${value}" doesn't exist`);
}

function isSupportedDriver(value: string): void {
  isOneOf('native', 'openvswitch')(value);
  if (value === 'openvswitch') throw invalid('Open vSwitch bridges are not supported, only native ones');
}

function isSupportedMode(value: string): void {
  isOneOf('standard', 'fan')(value);
  if (value === 'fan') throw invalid('The Ubuntu fan is not supported, only standard bridges');
}

function isWithoutBgp(): void {
  throw invalid('BGP is not supported');
}

const string = key.string;
const bool = key.bool;
const global = { scope: 'global', liveUpdate: true } as const;

function familyKeys(family: Family): Record<string, KeySpec> {
  const p = `ipv${family}`;
  const withAddress = { ...global, condition: `IPv${family} address` };
  const withDhcp = { ...global, condition: `IPv${family} DHCP` };
  return {
    [`${p}.address`]: string({ ...global, default: 'auto (on creation)', short: `IPv${family} address of the bridge, \`none\`, or \`auto\` for a free subnet`, check: isBridgeAddress(family) }),
    [`${p}.dhcp`]: bool({ ...withAddress, default: 'true', short: 'Give clients their configuration over DHCP' }),
    [`${p}.dhcp.expiry`]: string({ ...withDhcp, default: '1h', short: 'How long a lease lasts' }),
    [`${p}.dhcp.ranges`]: string({ ...withDhcp, default: 'all addresses', short: 'Ranges given out by DHCP, as FIRST-LAST', check: isListOf(isIpRange(family)) }),
    [`${p}.firewall`]: bool({ ...withAddress, default: 'true', short: 'Make filter rules for the network' }),
    [`${p}.nat`]: bool({ ...withAddress, default: 'false (true on creation with a chosen subnet)', short: 'Hide the network behind the address of the host' }),
    [`${p}.nat.address`]: string({ ...withAddress, short: 'Source address of translated traffic', check: isIpAddress(family) }),
    [`${p}.nat.order`]: string({ ...withAddress, default: 'before', short: 'Place of the translation among rules of others', check: isOneOf('before', 'after') }),
    [`${p}.ovn.ranges`]: string({ ...global, short: 'Ranges kept for routers of child networks', check: isListOf(isIpRange(family)) }),
    [`${p}.routes`]: string({ ...withAddress, short: 'Further subnets routed to the bridge', check: isListOf(isNetwork(family)) }),
    [`${p}.routing`]: bool({ ...withAddress, default: 'true', short: 'Forward traffic in and out of the bridge' }),
    [`maas.subnet.${p}`]: string({ ...withAddress, short: 'Name of the subnet in a MAAS server (kept, without effect)' }),
    [`dns.zone.reverse.${p}`]: string({ ...global, short: `Zone for reverse records of IPv${family}`, check: isExistingZone }),
  };
}

/** Keys of a managed bridge. Those of one tunnel or peer carry its name and are found by `findBridgeKey`. */
export const networkBridgeKeys = new KeyGroup('network-bridge', {
  'bridge.driver': string({ ...global, default: 'native', short: 'Implementation of the bridge', check: isSupportedDriver }),
  'bridge.external_interfaces': string({ scope: 'local', liveUpdate: true, short: 'Unconfigured interfaces of the host to plug in', check: isExternalInterfaces }),
  'bridge.hwaddr': string({ ...global, short: 'MAC address of the bridge', check: isMacAddress }),
  'bridge.mode': string({ ...global, default: 'standard', short: 'Mode of operation', check: isSupportedMode }),
  'bridge.mtu': key.integer({ ...global, default: '1500 (1400 with tunnels)', short: 'MTU of the bridge', check: isMtu }),
  'fan.overlay_subnet': string({ ...global, condition: 'fan mode', short: 'Subnet of the overlay', check: isNetwork(4) }),
  'fan.type': string({ ...global, condition: 'fan mode', short: 'Kind of tunnel of the fan', check: isOneOf('vxlan', 'ipip') }),
  'fan.underlay_subnet': string({ ...global, condition: 'fan mode', short: 'Subnet below the overlay', check: (value) => { if (value !== 'auto') isNetwork(4)(value); } }),
  ...familyKeys(4),
  'ipv4.dhcp.gateway': string({ ...global, condition: 'IPv4 DHCP', default: 'IPv4 address', short: 'Gateway told to clients', check: isIpAddress(4) }),
  ...familyKeys(6),
  'ipv6.dhcp.stateful': bool({ ...global, condition: 'IPv6 DHCP', default: 'false', short: 'Give out addresses over DHCPv6' }),
  'dns.domain': string({ ...global, default: 'lxd', short: 'Domain of the network\'s clients' }),
  'dns.mode': string({ ...global, default: 'managed', short: 'Who registers names: nobody, the daemon, or clients themselves', check: isOneOf('dynamic', 'managed', 'none') }),
  'dns.search': string({ ...global, default: 'dns.domain', short: 'Search list told to clients' }),
  'dns.zone.forward': string({ ...global, short: 'Zones for forward records', check: isExistingZone }),
  'raw.dnsmasq': string({ ...global, short: 'Lines appended to the configuration of dnsmasq' }),
  'security.acls': string({ ...global, short: 'Access lists of the network\'s NICs' }),
  'security.acls.default.ingress.action': string({ ...global, condition: 'security.acls', default: 'reject', short: 'What happens to incoming traffic no rule knows', check: isOneOf('allow', 'drop', 'reject') }),
  'security.acls.default.egress.action': string({ ...global, condition: 'security.acls', default: 'reject', short: 'What happens to outgoing traffic no rule knows', check: isOneOf('allow', 'drop', 'reject') }),
  'security.acls.default.ingress.logged': bool({ ...global, condition: 'security.acls', default: 'false', short: 'Log incoming traffic no rule knows' }),
  'security.acls.default.egress.logged': bool({ ...global, condition: 'security.acls', default: 'false', short: 'Log outgoing traffic no rule knows' }),
}, { 'user.': string({ short: 'Anything, for people and their tools' }) });

/** `tunnel.NAME.KEY`. */
export const networkTunnelKeys: Readonly<Record<string, KeySpec>> = {
  protocol: string({ ...global, short: 'Protocol of the tunnel', check: isOneOf('gre', 'vxlan') }),
  local: string({ ...global, short: 'Address of this end', check: isAnyIpAddress }),
  remote: string({ ...global, short: 'Address of the other end', check: isAnyIpAddress }),
  port: key.integer({ ...global, default: '0', short: 'UDP port of a vxlan', check: isPort }),
  group: string({ ...global, default: '239.0.0.1', short: 'Multicast group of a vxlan', check: isAnyIpAddress }),
  id: key.integer({ ...global, default: '1', short: 'Number of the vxlan' }),
  interface: string({ ...global, short: 'Interface of the host the vxlan uses', check: isInterfaceName }),
  ttl: key.integer({ ...global, default: '1', short: 'Hops a multicast vxlan may take', check: isUint8 }),
};

/** `bgp.peers.NAME.KEY`. */
export const networkPeerKeys: Readonly<Record<string, KeySpec>> = {
  address: string({ ...global, short: 'Address of the peer', check: isWithoutBgp }),
  asn: string({ ...global, short: 'AS number of the peer', check: isWithoutBgp }),
  password: string({ ...global, short: 'Password of the session', check: isWithoutBgp }),
};

/** Keys whose values belong to one member, not to the network as a whole. */
export const memberNetworkKeys: readonly string[] = ['bridge.external_interfaces', 'parent', 'bgp.ipv4.nexthop', 'bgp.ipv6.nexthop'];

/** The declaration of a key; undefined for one that does not exist; `invalid` for a key of a namespace that is cut short. */
export function findBridgeKey(name: string): KeySpec | undefined {
  for (const [namespace, prefix, keys] of [['tunnel.', 'tunnel.', networkTunnelKeys], ['bgp.', 'bgp.peers.', networkPeerKeys]] as const) {
    if (!name.startsWith(namespace)) continue;
    const [, last, ...more] = name.startsWith(prefix) ? name.slice(prefix.length).split('.') : [];
    if (last === undefined || more.length > 0) throw invalid(`Invalid network configuration key: ${name}`);
    return Object.hasOwn(keys, last) ? keys[last] : undefined;
  }
  // `user.` itself is accepted by LXD, empty rest or not.
  return name === 'user.' ? networkBridgeKeys.prefixes['user.'] : networkBridgeKeys.find(name);
}
