import type { NetworkForwardPort } from '#api-types';
import { formatIp, parseCidr, parseIp, subnetContains } from '#config-schema';
import { invalid } from '#kernel';
import type { AddressForward, ForwardedPorts } from '#ports';
import { compact, type Config } from './network-config.rules.js';

/** What a client may say of a forward, in canonical form. */
export interface ForwardContent {
  readonly description: string;
  readonly config: Config;
  readonly ports: readonly NetworkForwardPort[];
}

/** Without blanks around anything, addresses as they are usually written. */
export function normaliseForward({ description, config, ports }: ForwardContent): ForwardContent {
  const target = config['target_address'];
  return {
    description: description.trim(),
    config: compact({ ...config, ...(target === undefined ? {} : { target_address: canonicalAddress(target) }) }),
    ports: ports.map((port) => ({
      description: port.description.trim(), protocol: port.protocol.trim(), target_address: canonicalAddress(port.target_address.trim()),
      listen_port: joined(port.listen_port), target_port: joined(port.target_port),
    })),
  };
}

/** The address as it is usually written; what is none stays as it is. */
export function canonicalAddress(text: string): string {
  const address = parseIp(text);
  return address === null ? text : formatIp(address);
}

/**
 * Checks a forward against its network and turns it into what the host needs. `invalid` in LXD's words.
 */
export function compileForward(listenAddress: string, { config, ports }: ForwardContent, network: Config): AddressForward {
  const listen = parseIp(listenAddress);
  if (listen === null) {
    throw invalid(`Failed parsing address forward listen address "${listenAddress}": invalid CIDR address: ${listenAddress}/${listenAddress.includes(':') ? 128 : 32}`);
  }
  const unknown = Object.keys(config).find((key) => key !== 'target_address' && !key.startsWith('user.'));
  if (unknown !== undefined) throw invalid(`Invalid option "${unknown}"`);
  const own = network[`ipv${listen.family}.address`] ?? '';
  const subnet = parseCidr(own);
  if (own !== '' && subnet === null) throw invalid(`invalid CIDR address: ${own}`);
  const outside = (address: string): boolean => subnet !== null && !subnetContains(subnet, address);

  const targetAddress = config['target_address'] ?? '';
  if (targetAddress !== '') {
    const target = parseIp(targetAddress);
    if (target === null) throw invalid('Invalid default target address');
    if (target.family !== listen.family) throw invalid('Cannot mix IP versions in listen address and default target address');
    if (outside(targetAddress)) throw invalid('Default target address is not within the network subnet');
  }
  const taken = new Set<string>();
  const compiled = ports.map((port, index): ForwardedPorts => {
    const where = `in port specification ${index}`;
    if (port.protocol !== 'tcp' && port.protocol !== 'udp') throw invalid(`Invalid port protocol ${where}, protocol must be one of: tcp, udp`);
    const target = parseIp(port.target_address);
    if (target === null) throw invalid(`Invalid target address ${where}`);
    if (formatIp(target) === targetAddress) throw invalid(`Target address is same as default target address ${where}`);
    if (target.family !== listen.family) throw invalid(`Cannot mix IP versions in listen address and port specification ${index} target address`);
    if (outside(port.target_address)) throw invalid(`Target address is not within the network subnet ${where}`);
    if (port.listen_port === '') throw invalid(`Invalid listen port ${where}`);
    const asked = rangesOf(port.listen_port, (problem) => invalid(`Invalid listen port ${where}: ${problem}`));
    const listenPorts: number[] = [];
    for (const one of portsIn(asked)) {
      if (taken.has(`${port.protocol}/${one}`)) throw invalid(`Duplicate listen port ${one} for protocol "${port.protocol}" ${where}`);
      taken.add(`${port.protocol}/${one}`);
      listenPorts.push(one);
    }
    const targets = port.target_port === '' ? [] : rangesOf(port.target_port, () => invalid(`Invalid target port ${where}`));
    const count = targets.reduce((sum, [from, to]) => sum + to - from + 1, 0);
    if (count > 1 && count !== listenPorts.length) throw invalid(`Mismatch of listen port(s) and target port(s) count ${where}`);
    return { protocol: port.protocol, listenPorts, targetAddress: formatIp(target), targetPorts: [...portsIn(targets)] };
  });
  return { listenAddress: formatIp(listen), targetAddress, ports: compiled };
}

function joined(list: string): string {
  return list.split(',').map((item) => item.trim()).filter((item) => item !== '').join(',');
}

/** First and last ports. They are counted out one by one where it is known that they are no more than there are: a list may name all of them any number of times. */
function rangesOf(list: string, refusal: (problem: string) => Error): (readonly [number, number])[] {
  return list.split(',').map((range) => {
    const [first = '', last = first, ...more] = range.split('-');
    if (more.length > 0) throw refusal(`Invalid port range "${range}"`);
    const [from, to] = [port(first, refusal), port(last, refusal)];
    if (from > to) throw refusal('End port should be higher than start port');
    return [from, to] as const;
  });
}

function* portsIn(ranges: readonly (readonly [number, number])[]): Generator<number> {
  for (const [from, to] of ranges) for (let port = from; port <= to; port++) yield port;
}

function port(text: string, refusal: (problem: string) => Error): number {
  if (!/^\d{1,9}$/.test(text)) throw refusal(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  if (Number(text) > 65535) throw refusal(`Invalid port number "${text}"`);
  return Number(text);
}
