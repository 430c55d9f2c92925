import { isFalse, isTrue } from '#kernel';
import type { NetworkSpec } from '#ports';
import { addressOf, planBridge, splitList } from './bridge-plan.rules.js';
import { hostOf, lastAddress, nthAddress, prefixLengthOf } from './subnets.rules.js';

/** Files of one network's dnsmasq. */
export interface DnsmasqFiles {
  readonly leases: string;
  readonly hosts: string;
  readonly raw: string;
}

/** Domain of a network that names none. */
export const defaultDomain = 'lxd';

/**
 * Command line of a network's dnsmasq (without `--pid-file`), or null where neither family has an address and nothing is to be served.
 */
export function dnsmasqArguments(network: NetworkSpec, files: DnsmasqFiles): string[] | null {
  const { name, config } = network;
  const ipv4 = addressOf(config['ipv4.address']);
  const ipv6 = addressOf(config['ipv6.address']);
  if (ipv4 === '' && ipv6 === '') return null;
  const domain = config['dns.domain'] || defaultDomain;
  const servesLeases = (ipv4 !== '' && !isFalse(config['ipv4.dhcp'])) || (ipv6 !== '' && !isFalse(config['ipv6.dhcp']));
  return [
    '--strict-order', '--bind-interfaces', '--except-interface=lo', '--no-ping', `--interface=${name}`,
    '--dhcp-rapid-commit', '--quiet-dhcp', '--quiet-dhcp6', '--quiet-ra',
    ...(servesLeases ? ['--dhcp-no-override', '--dhcp-authoritative', `--dhcp-leasefile=${files.leases}`, `--dhcp-hostsfile=${files.hosts}`] : []),
    ...ipv4Arguments(network, ipv4),
    ...ipv6Arguments(network, ipv6),
    ...(config['dns.mode'] === 'none' ? [] : ['-s', domain, '--interface-name', `_gateway.${domain},${name}`, '-S', `/${domain}/`]),
    `--conf-file=${files.raw}`, '-u', 'nobody', '-g', 'nogroup',
  ];
}

function ipv4Arguments(network: NetworkSpec, address: string): string[] {
  const { config } = network;
  if (address === '') return [];
  const listen = `--listen-address=${hostOf(address)}`;
  if (isFalse(config['ipv4.dhcp'])) return [listen];
  const { mtu } = planBridge(network);
  const options = [
    ...(config['ipv4.dhcp.gateway'] ? [`--dhcp-option-force=3,${config['ipv4.dhcp.gateway']}`] : []),
    ...(mtu === 1500 ? [] : [`--dhcp-option-force=26,${mtu}`]),
    ...(config['dns.search'] ? [`--dhcp-option-force=119,${splitList(config['dns.search']).join(',')}`] : []),
  ];
  const expiry = config['ipv4.dhcp.expiry'] || '1h';
  const ranges = rangesOf(config['ipv4.dhcp.ranges'], address);
  return [listen, ...options, ...ranges.flatMap((range) => ['--dhcp-range', `${range},${expiry}`])];
}

function ipv6Arguments({ name, config }: NetworkSpec, address: string): string[] {
  if (address === '') return [];
  const start = [`--listen-address=${hostOf(address)}`, '--enable-ra'];
  if (isFalse(config['ipv6.dhcp'])) return [...start, '--dhcp-range', `::,constructor:${name},ra-only`];
  if (!isTrue(config['ipv6.dhcp.stateful'])) return [...start, '--dhcp-range', `::,constructor:${name},ra-stateless,ra-names`];
  const expiry = config['ipv6.dhcp.expiry'] || '1h';
  const ranges = rangesOf(config['ipv6.dhcp.ranges'], address);
  return [...start, ...ranges.flatMap((range) => ['--dhcp-range', `${range},${prefixLengthOf(address)},${expiry}`])];
}

/** `first,last` of each range asked for, else all of the subnet but its own first address (and IPv4's broadcast). */
function rangesOf(ranges: string | undefined, cidr: string): string[] {
  const asked = splitList(ranges).map((range) => range.replace('-', ','));
  return asked.length > 0 ? asked : [`${nthAddress(cidr, 2n)},${lastAddress(cidr)}`];
}
