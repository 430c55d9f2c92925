/** Proxy for outgoing connections; empty texts mean none. */
export interface ProxySettings {
  /** For `http://` targets. Example: `http://proxy:3128` */
  readonly http: string;
  /** For `https://` targets. */
  readonly https: string;
  /** Comma-separated hosts, domains (`.example.com`) and `*` reached directly. */
  readonly ignoreHosts: string;
}

/** The proxy to use for a host, or null for a direct connection. */
export function proxyFor(scheme: string, host: string, proxy: ProxySettings): URL | null {
  const text = scheme === 'https:' ? proxy.https : proxy.http;
  if (text === '') return null;
  for (const entry of proxy.ignoreHosts.split(',').map((e) => e.trim()).filter((e) => e !== '')) {
    const domain = entry.replace(/^\*?\./, '');
    if (entry === '*' || host === entry || host.endsWith(`.${domain}`)) return null;
  }
  return new URL(text.includes('://') ? text : `http://${text}`);
}

/** Value of `Proxy-Authorization`, or undefined. */
export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '') return undefined;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(credentials).toString('base64')}`;
}
