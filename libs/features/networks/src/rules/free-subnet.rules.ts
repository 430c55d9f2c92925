import { invalid } from '#kernel';

/** First bits of a subnet as text of 0 and 1; null for what is no CIDR. */
export function subnetBits(cidr: string): string | null {
  const [address = '', length] = cidr.split('/');
  const bits = address.includes(':') ? ipv6Bits(address) : ipv4Bits(address);
  return bits === null ? null : bits.slice(0, length === undefined ? bits.length : Number(length));
}

/** Two subnets overlap exactly when one contains the other. Different families never do. */
export function overlap(a: string, b: string): boolean {
  if (a.includes(':') !== b.includes(':')) return false;
  const [x, y] = [subnetBits(a), subnetBits(b)];
  return x !== null && y !== null && (x.startsWith(y) || y.startsWith(x));
}

const attempts = 1000;

/**
 * A random bridge address whose subnet nothing in `used` (CIDRs) touches: `10.x.y.1/24`, or `fd42:...::1/64`. `random` gives bytes as
 * hex. Throws `invalid` when none is found.
 */
export function chooseSubnet(family: 'ipv4' | 'ipv6', used: readonly string[], random: (bytes: number) => string): string {
  for (let i = 0; i < attempts; i++) {
    const candidate = family === 'ipv4' ? candidateIpv4(random(2)) : candidateIpv6(random(6));
    if (!used.some((subnet) => overlap(subnet, candidate))) return candidate;
  }
  throw invalid(family === 'ipv4' ? 'Failed generating auto config: Failed to automatically find an unused IPv4 subnet, manual configuration required'
    : 'Failed generating auto config: Failed to automatically find an unused IPv6 subnet, manual configuration required');
}

function candidateIpv4(hex: string): string {
  return `10.${Number.parseInt(hex.slice(0, 2), 16)}.${Number.parseInt(hex.slice(2, 4), 16)}.1/24`;
}

function candidateIpv6(hex: string): string {
  const groups = [hex.slice(0, 4), hex.slice(4, 8), hex.slice(8, 12)].map((group) => Number.parseInt(group, 16).toString(16));
  return `fd42:${groups.join(':')}::1/64`;
}

function ipv4Bits(address: string): string | null {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) return null;
  return parts.map((part) => part.toString(2).padStart(8, '0')).join('');
}

function ipv6Bits(address: string): string | null {
  const [head = '', tail] = address.split('::');
  const groups = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const [first, last] = [groups(head), groups(tail)];
  const all = [...first, ...Array<string>(Math.max(0, tail === undefined ? 0 : 8 - first.length - last.length)).fill('0'), ...last];
  if (all.length !== 8 || all.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  return all.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('');
}
