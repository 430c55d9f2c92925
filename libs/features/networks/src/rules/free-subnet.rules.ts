import { parseCidr, type Subnet } from '#config-schema';
import { invalid } from '#kernel';

/** Whether two subnets, or addresses, share any address. What is neither shares none. */
export function overlap(a: string, b: string): boolean {
  const [x, y] = [subnetOf(a), subnetOf(b)];
  if (x === null || y === null || x.family !== y.family) return false;
  const hostBits = BigInt((x.family === 4 ? 32 : 128) - Math.min(x.prefix, y.prefix));
  return x.address >> hostBits === y.address >> hostBits;
}

function subnetOf(text: string): Subnet | null {
  return parseCidr(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
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
