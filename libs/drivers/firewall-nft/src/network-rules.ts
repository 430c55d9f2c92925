import { createHash } from 'node:crypto';
import { isFalse, isTrue } from '#kernel';
import type { NetworkSpec } from '#ports';
import { aclChains } from './acl-rules.js';
import { addressForwardChains } from './address-forward-rules.js';
import type { ChainText } from './chain-text.js';

/** Whose a chain is and what it was made from: the state id, then a digest of its text. */
export function chainComment(stateId: string, chain: ChainText): string {
  const digest = createHash('sha256').update(JSON.stringify([chain.hook, chain.rules])).digest('hex').slice(0, 16);
  return `roost ${stateId} ${digest}`;
}

/** Names of all chains a network may have, so that those no longer wanted are removed; what is jumped to stands behind what jumps there. */
export function networkChainNames(network: string): string[] {
  return ['pstrt', 'fwd', 'in', 'out', 'aclin', 'aclout', 'aclfwd', 'acl', 'fwdprert', 'fwdout', 'fwdpstrt'].map((kind) => `${kind}.${network}`);
}

const icmpErrors = 'destination-unreachable, time-exceeded, parameter-problem';
const icmpv6Errors = 'destination-unreachable, packet-too-big, time-exceeded, parameter-problem';
const neighbours = 'nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report';

/** The chains a network needs, in LXD's names and order; only those that hold rules. */
export function networkChains(network: NetworkSpec): ChainText[] {
  const { name, config } = network;
  const families = (['ipv4', 'ipv6'] as const).filter((family) => hasAddress(config[`${family}.address`]));
  const guarded = families.filter((family) => !isFalse(config[`${family}.firewall`]));
  const [natChain, forward, input, output] = networkChainNames(name) as [string, string, string, string];
  return [
    { name: natChain, hook: 'type nat hook postrouting priority srcnat; policy accept;', rules: families.flatMap((family) => natRules(family, config)) },
    { name: forward, hook: 'type filter hook forward priority filter; policy accept;', rules: guarded.flatMap((f) => forwardRules(f, name, config)) },
    { name: input, hook: 'type filter hook input priority filter; policy accept;', rules: serviceRules(guarded, name, config, 'in') },
    { name: output, hook: 'type filter hook output priority filter; policy accept;', rules: serviceRules(guarded, name, config, 'out') },
    ...aclChains(network),
    ...addressForwardChains(network),
  ].filter((chain) => chain.rules.length > 0);
}

type Family = 'ipv4' | 'ipv6';
type Config = Readonly<Record<string, string>>;

function hasAddress(address: string | undefined): boolean {
  return address !== undefined && address !== '' && address !== 'none';
}

function natRules(family: Family, config: Config): string[] {
  if (!isTrue(config[`${family}.nat`])) return [];
  const ip = family === 'ipv4' ? 'ip' : 'ip6';
  const subnet = config[`${family}.address`] ?? '';
  const source = config[`${family}.nat.address`] ?? '';
  // The kernel masks the address to its network by itself.
  return [`${ip} saddr ${subnet} ${ip} daddr != ${subnet} ${source === '' ? 'masquerade' : `snat ${ip} to ${source}`}`];
}

function forwardRules(family: Family, name: string, config: Config): string[] {
  const version = family === 'ipv4' ? 'ip version 4' : 'ip6 version 6';
  const verdict = isFalse(config[`${family}.routing`]) ? `reject with ${family === 'ipv4' ? 'icmp' : 'icmpv6'} port-unreachable` : 'accept';
  return [`${version} oifname "${name}" ${verdict}`, `${version} iifname "${name}" ${verdict}`];
}

/** What the host answers on the bridge: DNS always, DHCP and the ICMP it needs where the family has DHCP. */
function serviceRules(families: readonly Family[], name: string, config: Config, direction: 'in' | 'out'): string[] {
  if (families.length === 0) return [];
  const [link, port] = direction === 'in' ? [`iifname "${name}"`, 'dport'] : [`oifname "${name}"`, 'sport'];
  const rules = [`${link} tcp ${port} 53 accept`, `${link} udp ${port} 53 accept`];
  if (families.includes('ipv4') && !isFalse(config['ipv4.dhcp'])) {
    rules.push(`${link} icmp type { ${icmpErrors} } accept`, `${link} udp ${port} 67 accept`);
  }
  if (families.includes('ipv6') && !isFalse(config['ipv6.dhcp'])) {
    const types = direction === 'in' ? `${icmpv6Errors}, nd-router-solicit, ${neighbours}` : `${icmpv6Errors}, echo-request, nd-router-advert, ${neighbours}`;
    rules.push(`${link} icmpv6 type { ${types} } accept`, `${link} udp ${port} 547 accept`);
  }
  return rules;
}
