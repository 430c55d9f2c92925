import { invalid } from '#kernel';

/** An address as a number, or null when the text is none of its family. No host look-ups, no `node:net`: this library is pure. */
export function parseIpv4(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

export function parseIpv6(text: string): bigint | null {
  let source = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const v4 = parseIpv4(dotted[2]!);
    if (v4 === null) return null;
    source = `${dotted[1]}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return null;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const given = groups.flat();
  if (!given.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  if (halves.length === 1 ? given.length !== 8 : given.length > 7) return null;
  const all = halves.length === 1 ? given : [...groups[0]!, ...Array<string>(8 - given.length).fill('0'), ...groups[1]!];
  return all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}

export type Family = 4 | 6;

export function parseIp(text: string, family?: Family): { family: Family; value: bigint } | null {
  const v4 = family === 6 ? null : parseIpv4(text);
  if (v4 !== null) return { family: 4, value: v4 };
  const v6 = family === 4 ? null : parseIpv6(text);
  return v6 === null ? null : { family: 6, value: v6 };
}

/** Canonical text of an address: of IPv6 the longest run of zero groups is left out. */
export function formatIp({ family, value }: { readonly family: Family; readonly value: bigint }): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((bits) => (value >> bits) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16));
  const runs = [...groups.map((group) => (group === '0' ? '0' : '-')).join('').matchAll(/0{2,}/g)];
  const longest = runs.reduce((best, run) => (run[0].length > best.length ? { index: run.index, length: run[0].length } : best), { index: 0, length: 0 });
  if (longest.length === 0) return groups.join(':');
  return `${groups.slice(0, longest.index).join(':')}::${groups.slice(longest.index + longest.length).join(':')}`;
}

export interface Subnet {
  readonly family: Family;
  /** Address as given, host part included. */
  readonly address: bigint;
  readonly network: bigint;
  readonly prefix: number;
}

/** `10.0.0.1/24`; null for anything else. */
export function parseCidr(text: string): Subnet | null {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const ip = match === null ? null : parseIp(match[1]!);
  if (match === null || ip === null) return null;
  const bits = ip.family === 4 ? 32 : 128;
  const prefix = Number(match[2]);
  if (prefix > bits) return null;
  const hostBits = BigInt(bits - prefix);
  return { family: ip.family, address: ip.value, network: (ip.value >> hostBits) << hostBits, prefix };
}

export function subnetContains(subnet: Subnet, text: string): boolean {
  const ip = parseIp(text, subnet.family);
  if (ip === null) return false;
  const hostBits = BigInt((subnet.family === 4 ? 32 : 128) - subnet.prefix);
  return ip.value >> hostBits === subnet.network >> hostBits;
}

export const isIpAddress = (family: Family) => (value: string): void => {
  if (parseIp(value, family) === null) throw invalid(`Not an IPv${family} address "${value}"`);
};

export function isAnyIpAddress(value: string): void {
  if (parseIp(value) === null) throw invalid(`Not an IP address "${value}"`);
}

/** `FIRST-LAST`. */
export const isIpRange = (family: Family) => (value: string): void => {
  const dash = value.indexOf('-');
  if (dash < 0) throw invalid('IP range must contain start and end IP addresses');
  for (const end of [value.slice(0, dash), value.slice(dash + 1)]) isIpAddress(family)(end);
};

/** An address with the length of its network's prefix, other than the network's own. */
export const isHostAddress = (family: Family) => (value: string): void => {
  const subnet = parseCidr(value);
  if (subnet === null) throw invalid(`invalid CIDR address: ${value}`);
  if (subnet.family !== family) throw invalid(`Not an IPv${family} address "${value}"`);
  if (subnet.address === subnet.network) throw invalid(`Not a usable IPv${family} address "${value}"`);
};

/** An address with a prefix length whose host part is zero. */
export const isNetwork = (family: Family) => (value: string): void => {
  const subnet = parseCidr(value);
  if (subnet === null) throw invalid(`invalid CIDR address: ${value}`);
  if (subnet.family !== family) throw invalid(`Not an IPv${family} network "${value}"`);
  if (subnet.address !== subnet.network) throw invalid(`Not an IPv${family} network address "${value}"`);
};

/** Comma-separated, spaces allowed; the complaint names the item. */
export const isListOf = (check: (item: string) => void) => (value: string): void => {
  for (const part of value.split(',')) {
    const item = part.trim();
    try {
      check(item);
    } catch (error) {
      throw invalid(`Item "${item}": ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
};

export function isMacAddress(value: string): void {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(value)) throw invalid('Invalid MAC address, must be 6 bytes of hex separated by colons');
}

export function isInfinibandAddress(value: string): void {
  if (!/^[0-9a-fA-F]{2}((:[0-9a-fA-F]{2}){7}|(:[0-9a-fA-F]{2}){19})$/.test(value)) {
    throw invalid('Invalid value, must be either 8 or 20 bytes of hex separated by colons');
  }
}

export function isMtu(value: string): void {
  if (!/^\d+$/.test(value) || Number(value) > 0xffff_ffff) throw invalid(`Invalid MTU "${value}"`);
  if (Number(value) < 1280 || Number(value) > 16384) throw invalid(`Out of MTU range (1280-16384) "${value}"`);
}

export function isInterfaceName(value: string): void {
  if (value.length < 2) throw invalid('Network interface is too short (minimum 2 characters)');
  if (value.length > 15) throw invalid('Network interface is too long (maximum 15 characters)');
  if (!/^[-_a-zA-Z0-9.]+$/.test(value)) throw invalid('Network interface contains invalid characters');
}

export function isVlan(value: string): void {
  if (!/^[+-]?\d+$/.test(value)) throw invalid(`Invalid VLAN ID "${value}"`);
  if (Number(value) < 0 || Number(value) > 4094) throw invalid(`Out of VLAN ID range (0-4094) "${value}"`);
}

export function isVlanOrNone(value: string): void {
  if (value !== 'none') isVlan(value);
}

/** VLAN ids and ranges: `1,5-9`. */
export function isVlanList(value: string): void {
  const isId = (id: string): boolean => /^\d+$/.test(id) && Number(id) <= 4094;
  for (const text of value.split(',').map((item) => item.trim())) {
    const ends = text.split('-');
    const [start = '', end = start] = ends;
    if (ends.length > 2 || (ends.length === 1 && !isId(start))) throw invalid(`Invalid VLAN range input: ${text}`);
    if (!isId(start) || !isId(end)) throw invalid(`Invalid VLAN range boundary. start:${start}, end:${end}`);
    if (Number(start) > Number(end)) throw invalid(`Invalid VLAN range boundary. start:${start} is higher than end:${end}`);
  }
}
