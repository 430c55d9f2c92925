import type { NetworkLease } from '#api-types';
import { isTrue } from '#kernel';
import type { Lease } from '#ports';
import type { NetworkNic } from '../network-usage.registry.js';
import type { Config } from './network-config.rules.js';

/** A lease and the name of the member whose dnsmasq gave it. */
export interface PlacedLease extends Lease {
  readonly location: string;
}

export interface LeaseSources {
  readonly name: string;
  readonly config: Config;
  /** NICs of the project asked for. */
  readonly nics: readonly NetworkNic[];
  /** Leases dnsmasq has given, whoever holds them. */
  readonly leases: readonly PlacedLease[];
  /** Whether the network belongs to the project asked for: only there its gateways are listed. */
  readonly ownProject: boolean;
}

/** What `GET /1.0/networks/{name}/leases` lists: gateways, then what NICs have by configuration, then what DHCP gave. */
export function listLeases({ name, config, nics, leases, ownProject }: LeaseSources): NetworkLease[] {
  const gateways = ownProject
    ? [config['ipv4.address'], config['ipv6.address']].filter((address) => address !== undefined && address !== 'none')
      .map((address) => ({ hostname: `${name}.gw`, hwaddr: '', address: address?.split('/')[0] ?? '', type: 'gateway', location: '' }))
    : [];
  const known = nics.filter(({ hwaddr }) => hwaddr !== '').flatMap((nic) => nicLeases(nic, config));
  const macs = new Set(nics.map(({ hwaddr }) => hwaddr.toLowerCase()));
  const dynamic = leases.filter((lease) => {
    if (known.some(({ hwaddr, address }) => hwaddr.toLowerCase() === lease.hwaddr.toLowerCase() && address === lease.address)) return false;
    // Without instances to go by, everything of a network's own project is shown.
    return macs.size === 0 ? ownProject : macs.has(lease.hwaddr.toLowerCase());
  });
  return [...gateways, ...known, ...dynamic.map(({ hostname, hwaddr, address, type, location }) => ({ hostname, hwaddr, address, type, location }))];
}

function nicLeases(nic: NetworkNic, config: Config): NetworkLease[] {
  const lease = (address: string, type: string): NetworkLease => ({ hostname: nic.instance, hwaddr: nic.hwaddr, address, type, location: nic.location });
  const subnet = config['ipv6.address'];
  const stateless = subnet !== undefined && subnet !== 'none' && !isTrue(config['ipv6.dhcp.stateful']);
  return [
    ...(nic.ipv4Address === '' ? [] : [lease(nic.ipv4Address, 'static')]),
    ...(nic.ipv6Address === '' ? (stateless ? [lease(stableAddress(subnet, nic.hwaddr), 'dynamic')] : []) : [lease(nic.ipv6Address, 'static')]),
  ];
}

/** The address a NIC gives itself in a /64 by stateless configuration (RFC 4291, appendix A: EUI-64 with the universal bit turned). */
export function stableAddress(cidr: string, hwaddr: string): string {
  const mac = hwaddr.split(':').map((byte) => Number.parseInt(byte, 16));
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac;
  const host = [(a ^ 2) * 256 + b, c * 256 + 0xff, 0xfe00 + d, e * 256 + f].map((group) => group.toString(16));
  const [head = ''] = (cidr.split('/')[0] ?? '').split('::');
  const prefix = [...head.split(':').filter((group) => group !== ''), '0', '0', '0', '0'].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return compress([...prefix, ...host]);
}

/** Shortest form: the longest run of two or more zero groups becomes `::`. */
function compress(groups: readonly string[]): string {
  const runs = [...groups.map((group) => (group === '0' ? '0' : '-')).join('').matchAll(/0{2,}/g)];
  const longest = runs.reduce((best, run) => (run[0].length > best.length ? { index: run.index, length: run[0].length } : best), { index: 0, length: 0 });
  if (longest.length === 0) return groups.join(':');
  return `${groups.slice(0, longest.index).join(':')}::${groups.slice(longest.index + longest.length).join(':')}`;
}
