import { BlockList, isIP } from 'node:net';
import { invalid } from '#kernel';

/** Proxy for outgoing connections; empty texts mean none. */
export interface ProxySettings {
  /** For `http://` targets. Example: `http://proxy:3128` */
  readonly http: string;
  /** For `https://` targets. */
  readonly https: string;
  /** Comma-separated hosts, domains (`.example.com`), subnets and `*` reached directly. */
  readonly ignoreHosts: string;
}

/** The proxy to use for a host, or null for a direct connection, as to this machine itself. Throws `invalid` for an address that is none. */
export function proxyFor(scheme: string, host: string, proxy: ProxySettings): URL | null {
  const text = scheme === 'https:' ? proxy.https : proxy.http;
  if (text === '') return null;
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (name === 'localhost' || isIn(name, '127.0.0.0/8') || name === '::1') return null;
  if (proxy.ignoreHosts.split(',').some((entry) => isMeant(name, entry.trim().toLowerCase()))) return null;
  try {
    return new URL(/^https?:\/\//.test(text) ? text : `http://${text}`);
  } catch (error) {
    throw invalid(`invalid proxy address ${JSON.stringify(text)}`, { cause: error });
  }
}

/** Whether an entry of a list of hosts to be reached directly means this one. A port in it says nothing, as with Go's programs. */
function isMeant(host: string, entry: string): boolean {
  if (entry === '') return false;
  if (entry === '*') return true;
  if (entry.includes('/')) return isIn(host, entry);
  const name = isIP(entry) === 6 ? entry : entry.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return host === name || host.endsWith(`.${name.replace(/^\*?\./, '')}`);
}

function isIn(address: string, subnet: string): boolean {
  const [network = '', bits = ''] = subnet.split('/');
  const version = isIP(network);
  if (version === 0 || isIP(address) !== version || !/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(address, family);
}

/** Value of `Proxy-Authorization`, or undefined. */
export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(credentials).toString('base64')}`;
}
