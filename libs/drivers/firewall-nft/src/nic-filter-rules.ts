import type { NicFilter } from '#ports';
import type { ChainText } from './chain-text.js';

export function nicChainNames(instance: string, device: string): [string, string] {
  return [`in.${instance}.${device}`, `fwd.${instance}.${device}`];
}

/**
 * Filters of one NIC in the bridge family: frames with another MAC, and packets from addresses other than its own, are dropped. The
 * input chain sees what is meant for the host (DHCP and router discovery pass), the forward chain what goes to other ports.
 */
export function nicChains(filter: NicFilter): ChainText[] {
  const link = `iifname "${filter.hostName}"`;
  const on = (rules: readonly string[]): string[] => rules.map((rule) => `${link} ${rule}`);
  const [input, forward] = nicChainNames(filter.instance, filter.device);
  const foreign = filter.ipv4Addresses === null && filter.ipv6Addresses === null ? [] : ['ether type != { ip, arp, ip6 } drop'];
  return [
    { name: input, hook: 'type filter hook input priority filter; policy accept;',
      rules: on([...macRules(filter.hwaddr), ...ipv4Rules(filter.ipv4Addresses, true), ...ipv6Rules(filter.ipv6Addresses, true), ...foreign]) },
    { name: forward, hook: 'type filter hook forward priority filter; policy accept;',
      rules: on([...macRules(filter.hwaddr), ...ipv4Rules(filter.ipv4Addresses, false), ...ipv6Rules(filter.ipv6Addresses, false), ...foreign]) },
  ];
}

/** Bits 528 on of a neighbour advertisement hold the link-layer address option. */
function macRules(hwaddr: string): string[] {
  const hex = hwaddr.replaceAll(':', '').toLowerCase();
  return [
    `ether saddr != ${hwaddr} drop`,
    `arp saddr ether != ${hwaddr} drop`,
    `icmpv6 type 136 @nh,528,48 != 0x${hex} drop`,
  ];
}

function ipv4Rules(addresses: readonly string[] | null, toHost: boolean): string[] {
  if (addresses === null) return [];
  return [
    ...(toHost ? ['ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp dport 67 accept'] : []),
    ...addresses.flatMap((address) => [`arp saddr ip ${address} accept`, `ip saddr ${address} accept`]),
    'ether type arp drop', 'ether type ip drop',
  ];
}

/** Bits 384 on of a neighbour advertisement hold its target. */
function ipv6Rules(addresses: readonly string[] | null, toHost: boolean): string[] {
  if (addresses === null) return [];
  return [
    ...(toHost
      ? ['ip6 saddr fe80::/10 ip6 daddr ff02::1:2 udp dport 547 accept', 'ip6 saddr fe80::/10 ip6 daddr ff02::2 icmpv6 type 133 accept']
      : []),
    'icmpv6 type 134 drop',
    ...addresses.flatMap((address) => [`icmpv6 type 136 @nh,384,128 0x${ipv6Hex(address)} accept`, `ip6 saddr ${address} accept`]),
    'ether type ip6 drop',
  ];
}

/** All 128 bits as 32 hex digits; a prefix length behind the address is ignored. */
export function ipv6Hex(text: string): string {
  const [head = '', tail] = (text.split('/')[0] ?? '').split('::');
  const groups = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const first = groups(head);
  const last = groups(tail);
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  return [...first, ...zeros, ...last].map((group) => group.padStart(4, '0')).join('');
}
