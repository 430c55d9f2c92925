/** An address as one number. Pure text and arithmetic, no system call. */
export interface NumericAddress {
  readonly value: bigint;
  readonly bits: 32 | 128;
}

/** Null for a text that is no address. */
export function parseAddress(text: string): NumericAddress | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): NumericAddress | null {
  const parts = text.split('.');
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return null;
  return { value: parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n), bits: 32 };
}

function parseIpv6(text: string): NumericAddress | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const groups = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const [first, last] = [groups(halves[0]), groups(halves[1])];
  const missing = 8 - first.length - last.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const all = [...first, ...Array<string>(missing).fill('0'), ...last];
  if (all.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  return { value: all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n), bits: 128 };
}

/** Shortest form of the address. */
export function formatAddress({ value, bits }: NumericAddress): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 65535n).toString(16));
  const runs = [...groups.map((group) => (group === '0' ? '0' : '-')).join('').matchAll(/0{2,}/g)];
  const longest = runs.reduce<{ index: number; length: number }>((best, run) => (run[0].length > best.length ? { index: run.index, length: run[0].length } : best), { index: 0, length: 0 });
  if (longest.length === 0) return groups.join(':');
  return `${groups.slice(0, longest.index).join(':')}::${groups.slice(longest.index + longest.length).join(':')}`;
}

/** `10.1.2.3` of `10.1.2.3/24`. */
export function hostOf(cidr: string): string {
  return cidr.split('/')[0] ?? '';
}

export function prefixLengthOf(cidr: string): number {
  const [address = '', length] = cidr.split('/');
  return length === undefined ? (address.includes(':') ? 128 : 32) : Number(length);
}

/** First address of the subnet as a number. Null for a text that is no CIDR. */
function networkOf(cidr: string): NumericAddress | null {
  const address = parseAddress(hostOf(cidr));
  if (address === null) return null;
  const hostBits = BigInt(address.bits - prefixLengthOf(cidr));
  return { value: (address.value >> hostBits) << hostBits, bits: address.bits };
}

/** The n-th address of the subnet, counted from its own first one. */
export function nthAddress(cidr: string, n: bigint): string {
  const network = networkOf(cidr);
  return network === null ? '' : formatAddress({ value: network.value + n, bits: network.bits });
}

/** The last one usable by a host: IPv4's broadcast address is left out. */
export function lastAddress(cidr: string): string {
  const network = networkOf(cidr);
  if (network === null) return '';
  const size = 1n << BigInt(network.bits - prefixLengthOf(cidr));
  return formatAddress({ value: network.value + size - (network.bits === 32 ? 2n : 1n), bits: network.bits });
}

/** Same subnet written with its first address: `10.1.2.0/24`. */
export function subnetOf(cidr: string): string {
  return `${nthAddress(cidr, 0n)}/${prefixLengthOf(cidr)}`;
}

/** Whether two texts mean the same address and prefix length. */
export function sameCidr(a: string, b: string): boolean {
  const [x, y] = [parseAddress(hostOf(a)), parseAddress(hostOf(b))];
  return x !== null && y !== null && x.bits === y.bits && x.value === y.value && prefixLengthOf(a) === prefixLengthOf(b);
}
