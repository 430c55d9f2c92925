import { invalid } from '#kernel';
import type { NetworkSpec, StaticLease } from '#ports';
import { splitList } from './bridge-plan.rules.js';

/**
 * The last line of defence: the daemon validates for its users, this for the host. The daemon need not be root, what is made of these
 * texts (paths, scripts for `nft` and `ip`, command lines, files dnsmasq reads) is.
 */
export function checkNetworkName(name: string): void {
  if (!/^[-_a-zA-Z0-9.]{2,15}$/.test(name) || name === '..') throw invalid(`Invalid network name ${JSON.stringify(name)}`);
}

const plainText = /^[\w.,:/ -]*$/;
const addressKeys = /^(ipv[46]\.(address|routes|nat\.address|dhcp\.(ranges|gateway|expiry))|dns\.(domain|search)|bridge\.(hwaddr|mtu|external_interfaces)|volatile\.bridge\.hwaddr|tunnel\..*)$/;

/** Options of dnsmasq that run programs or open files as root, or take over what is decided elsewhere. */
const forbiddenOptions = [
  'dhcp-script', 'dhcp-luascript', 'conf-script', 'conf-file', 'conf-dir', 'log-facility', 'pid-file', 'dhcp-leasefile', 'dumpfile', 'user', 'group',
  'dhcp-hostsfile', 'dhcp-hostsdir', 'dhcp-optsfile', 'dhcp-optsdir',
];

export function checkNetworkSpec({ name, type, config }: NetworkSpec): void {
  if (type !== 'bridge') return checkUplinkSpec(config);
  checkNetworkName(name);
  for (const [key, value] of Object.entries(config)) {
    if (addressKeys.test(key) && !plainText.test(value)) throw invalid(`Invalid value for network "${name}" option "${key}": ${JSON.stringify(value)}`);
  }
  for (const port of splitList(config['bridge.external_interfaces'])) checkNetworkName(port);
  for (const line of (config['raw.dnsmasq'] ?? '').split('\n')) {
    const option = line.trim().split(/[\s=]/)[0] ?? '';
    if (forbiddenOptions.includes(option)) throw invalid(`Option "${option}" is not allowed in raw.dnsmasq of network "${name}"`);
  }
}

/** Networks that are no bridges name a link of the host; their own name goes nowhere. */
function checkUplinkSpec(config: NetworkSpec['config']): void {
  checkNetworkName(config['parent'] ?? '');
  for (const key of ['vlan', 'mtu']) if (!/^\d{0,5}$/.test(config[key] ?? '')) throw invalid(`Invalid value for option "${key}": ${JSON.stringify(config[key])}`);
}

/** What is written into a hosts file, and what names that file. */
export function checkStaticLease({ project, instance, device, hwaddr, ipv4Address, ipv6Address }: StaticLease): void {
  const names = [project, instance, device].every((name) => /^[^\p{Cc},]+$/u.test(name)) && !/[/\s]/.test(`${project}${instance}`);
  const addresses = [hwaddr, ipv4Address, ipv6Address].every((text) => /^[0-9a-fA-F:.]*$/.test(text));
  if (!names || !addresses) throw invalid(`Invalid lease for device ${JSON.stringify(device)} of instance ${JSON.stringify(instance)}`);
}
