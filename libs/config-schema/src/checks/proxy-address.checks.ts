import { invalid } from '#kernel';
import { parseIp, type Family } from './address.checks.js';
import { parseInteger } from './value.checks.js';

/** `tcp:127.0.0.1:80-90,100` taken apart. */
export interface ProxyAddress {
  readonly protocol: 'tcp' | 'udp' | 'unix';
  /** Host or path; empty for all addresses. */
  readonly address: string;
  /** Null for unix sockets and for the empty host. */
  readonly family: Family | null;
  readonly ports: readonly number[];
  /** In the abstract name space. */
  readonly abstract: boolean;
}

/** @throws `invalid` in LXD's (and Go's) words. */
export function parseProxyAddress(value: string): ProxyAddress {
  const colon = value.indexOf(':');
  const protocol = colon < 0 ? value : value.slice(0, colon);
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'unix') throw invalid(`Unknown protocol type "${protocol}"`);
  const rest = colon < 0 ? '' : value.slice(colon + 1);
  if (rest === '') throw invalid('Missing address');
  if (protocol === 'unix') return { protocol, address: rest, family: null, ports: [], abstract: rest.startsWith('@') };
  const { host, port } = splitHostPort(rest);
  const ip = parseIp(host);
  if (host !== '' && ip === null) throw invalid(`Not an IP address "${host}"`);
  return { protocol, address: host, family: ip?.family ?? null, ports: port.split(',').flatMap(parsePorts), abstract: false };
}

export function isProxyAddress(value: string): void {
  parseProxyAddress(value);
}

function splitHostPort(text: string): { host: string; port: string } {
  const bracketed = /^\[([^\]]*)\]:([^:]*)$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1]!, port: bracketed[2]! };
  const parts = text.split(':');
  if (parts.length < 2 || text.endsWith(']')) throw invalid(`address ${text}: missing port in address`);
  if (parts.length > 2) throw invalid(`address ${text}: too many colons in address`);
  return { host: parts[0]!, port: parts[1]! };
}

function parsePorts(range: string): number[] {
  const [first = '', last] = range.split('-', 2);
  const start = parseInteger(first, 'ParseInt');
  const end = last === undefined ? start : parseInteger(last, 'ParseInt');
  if (end < start) throw invalid('End port should be higher than start port');
  // More than a port can be is refused at the start; the list must stay small here.
  if (end - start > 65535) throw invalid('Port range is too large');
  return Array.from({ length: end - start + 1 }, (_, index) => start + index);
}
