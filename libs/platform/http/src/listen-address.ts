import { isIP } from 'node:net';
import { invalid } from '#kernel';

export const defaultHttpsPort = 8443;

/** Where to listen; an empty host means every address. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:8443`, `[::1]`, `:8443`, `host` to host and port. The host is not resolved. */
export function parseListenAddress(text: string, defaultPort = defaultHttpsPort): ListenAddress {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(text);
  if (match === null) {
    if (isIP(text) === 6) return { host: text, port: defaultPort };
    throw invalid(`address ${text}: too many colons in address`);
  }
  const port = match[3] === undefined || match[3] === '' ? defaultPort : Number(match[3]);
  return { host: match[1] ?? match[2] ?? '', port };
}

/** The text LXD stores: a missing port is filled in, IPv6 gets its brackets, an empty host stays empty. */
export function formatListenAddress({ host, port }: ListenAddress): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
