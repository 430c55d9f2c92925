import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { internal, invalid, messageOf, unavailable } from '#kernel';
import { crypto, tls } from './late-modules.js';
import { proxyFor, type ProxySettings } from './proxies.js';

const connectMs = 10_000;
const defaultPort = 8443;

/** What a token leads to: a member that answers, and the cluster's certificate, which the token vouches for. */
export interface ResolvedToken {
  readonly name: string;
  readonly address: string;
  /** PEM */
  readonly certificate: string;
}

/** Tries the token's addresses in turn. `invalid` when it is no token, `unavailable` when nobody with the right certificate answers. */
export async function resolveJoinToken(text: string): Promise<ResolvedToken> {
  // Its schema comes with a parser of schemas, which nothing else of a client needs.
  const { decodeJoinToken } = await import('#api-types');
  const token = decodeJoinToken(text);
  if (token === null) throw invalid(`Invalid cluster join token: ${whyNoToken(text)}`);
  let last: unknown;
  for (const address of token.addresses) {
    try {
      const certificate = await shownCertificate(address);
      if (fingerprintOf(certificate) !== token.fingerprint) throw internal(`Certificate fingerprint mismatch between join token and cluster member "${address}"`);
      return { name: token.server_name, address, certificate: certificate.toString() };
    } catch (error) {
      last = error;
    }
  }
  throw unavailable(`Unable to connect to any of the cluster members specified in join token: ${messageOf(last)}`, { cause: last });
}

export function fingerprintOf(certificate: X509Certificate): string {
  return crypto().createHash('sha256').update(certificate.raw).digest('hex');
}

/** The certificate a listener shows, unchecked: for somebody who knows its fingerprint. */
export async function shownCertificate(address: string, proxy?: ProxySettings): Promise<X509Certificate> {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(address);
  const host = match?.[1] ?? match?.[2] ?? address;
  const port = Number(match?.[3] ?? defaultPort);
  const via = proxy === undefined ? null : proxyFor('https:', host, proxy);
  const tunnel = via === null ? {} : { socket: await (await import('./connections.js')).tunnelThrough(via, host, port) };
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate>();
  const socket = tls().connect({
    ...tunnel, host, port, servername: isIP(host) === 0 ? host : undefined, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2', timeout: connectMs,
  });
  socket.once('secureConnect', () => {
    const certificate = socket.getPeerX509Certificate();
    socket.destroy();
    if (certificate === undefined) reject(unavailable(`"${address}" shows no certificate`));
    else resolve(certificate);
  });
  socket.once('timeout', () => socket.destroy(unavailable(`Unable to connect to: ${address}`)));
  socket.once('error', reject);
  return promise;
}

/** The complaint of LXD's decoder: text that is no base64, or what is in it no JSON. */
export function whyNoToken(text: string): string {
  const bad = text.search(/[^A-Za-z0-9+/=]/);
  if (bad >= 0 || text.length % 4 !== 0) return `illegal base64 data at input byte ${bad >= 0 ? bad : text.length - (text.length % 4)}`;
  const json = Buffer.from(text, 'base64').toString('latin1');
  return json === '' ? 'unexpected end of JSON input' : json.startsWith('{') ? 'it lacks what a token has' : `invalid character '${json[0]}' looking for beginning of value`;
}
