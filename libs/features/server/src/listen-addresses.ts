import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { invalid } from '#kernel';
import { formatListenAddress, parseListenAddress } from '#platform/http';

const cacheMs = 1000;
let cached: { address: string; at: number; result: string[] } | undefined;

/** Addresses under which clients reach a listener: itself, or every address of this host that is neither loopback nor link-local. */
export function reachableAddresses(address: string, now = performance.now()): string[] {
  if (address === '') return [];
  if (cached !== undefined && cached.address === address && now - cached.at < cacheMs) return cached.result;
  const { host, port } = parseListenAddress(address);
  const isWildcard = host === '' || host === '0.0.0.0' || host === '::';
  const hosts = isWildcard ? hostAddresses(host === '0.0.0.0') : [host];
  const result = hosts.map((name) => formatListenAddress({ host: name, port }));
  cached = { address, at: now, result };
  return result;
}

/** Whether a listener on `listening` answers at `wanted` too. */
export function coversAddress(listening: string, wanted: string): boolean {
  if (listening === '' || wanted === '') return false;
  const outer = parseListenAddress(listening);
  const inner = parseListenAddress(wanted);
  return outer.port === inner.port && (outer.host === inner.host || ['', '0.0.0.0', '::'].includes(outer.host));
}

function hostAddresses(onlyIpv4: boolean): string[] {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ address, family, internal }) => !internal && !address.startsWith('fe80:') && !address.startsWith('169.254.') && (family === 'IPv4' || !onlyIpv4))
    .map(({ address }) => address);
}

/** Refuses an address whose host has no IP address here; LXD's wording, without the key. */
export async function assertResolvable(address: string): Promise<void> {
  const { host } = parseListenAddress(address);
  if (host === '' || isIP(host) !== 0) return;
  // The C library takes it for an address in its oldest form, `5` for 0.0.0.5.
  if (/^[\d.]+$/.test(host)) throw invalid(`Couldn't resolve "${host}"`);
  try {
    await lookup(host);
  } catch (error) {
    throw invalid(`Couldn't resolve "${host}"`, { cause: error });
  }
}
