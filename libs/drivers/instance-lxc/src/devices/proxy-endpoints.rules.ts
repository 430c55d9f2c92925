import type { ProxyEndpoint } from '#host';
import { internal } from '#kernel';

/** `tcp:HOST:PORTS`, `udp:...`, `unix:PATH`, checked before it came here. */
export interface ProxyAddressSpec {
  readonly protocol: 'tcp' | 'udp' | 'unix';
  /** Host, path or `@name`; empty for everywhere. */
  readonly address: string;
  readonly ports: readonly number[];
}

export function proxyAddress(text: string): ProxyAddressSpec {
  const colon = text.indexOf(':');
  const protocol = text.slice(0, colon) as ProxyAddressSpec['protocol'];
  const rest = text.slice(colon + 1);
  if (protocol === 'unix') return { protocol, address: rest, ports: [0] };
  const split = rest.lastIndexOf(':');
  return { protocol, address: rest.slice(0, split).replace(/^\[|\]$/g, ''), ports: rest.slice(split + 1).split(',').flatMap(expand) };
}

export function isWildcard(address: string): boolean {
  return ['', '0.0.0.0', '::'].includes(address);
}

/** What a proxy listens on and connects to. @throws `internal` in LXD's words for what it does not do. */
export function proxyEndpoints(listen: ProxyAddressSpec, connect: ProxyAddressSpec): { listen: ProxyEndpoint[]; connect: ProxyEndpoint[] } {
  if (listen.protocol === 'udp' && connect.protocol !== 'udp') throw internal('Proxying from udp to non-udp protocol is not supported');
  for (const port of listen.ports) {
    if (port > 65535) throw internal(`Failed to listen on ${hostPort(listen.address, port)}: listen ${listen.protocol}: address ${port}: invalid port`);
  }
  const end = ({ protocol, ports }: ProxyAddressSpec, address: string): ProxyEndpoint[] => ports.map((port) => ({ protocol, address, port }));
  // Go listens on both families when any address of one is asked for; connecting to any address is connecting to oneself.
  const everywhere = listen.protocol !== 'unix' && isWildcard(listen.address) ? '*' : listen.address;
  const self = connect.protocol === 'unix' ? connect.address : connect.address === '::' ? '::1' : isWildcard(connect.address) ? '127.0.0.1' : connect.address;
  return { listen: end(listen, everywhere), connect: end(connect, self) };
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function expand(range: string): number[] {
  const [first = 0, last = first] = range.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
