import { createHash, X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { invalid } from '#kernel';

/** The certificate a peer presented, reduced to what decisions need. */
export interface PeerCertificate {
  /** SHA-256 of the DER, hex. */
  readonly fingerprint: string;
  readonly x509: X509Certificate;
  readonly notBefore: number;
  readonly notAfter: number;
}

const perSocket = new WeakMap<TLSSocket, PeerCertificate | null>();

/** The client certificate of a TLS connection, null when it sent none. Computed once per connection. */
export function peerCertificateOf(socket: TLSSocket): PeerCertificate | null {
  const known = perSocket.get(socket);
  if (known !== undefined) return known;
  const x509 = socket.getPeerX509Certificate();
  const certificate = x509 === undefined ? null : describe(x509);
  perSocket.set(socket, certificate);
  return certificate;
}

/** Reads a DER certificate; `invalid` with LXD's wording when it is none. */
export function parseCertificate(der: Buffer): PeerCertificate {
  try {
    return describe(new X509Certificate(der));
  } catch (error) {
    throw invalid('Invalid certificate material: x509: malformed certificate', { cause: error });
  }
}

/** Reads one certificate in PEM; `invalid` when it is none. */
export function parsePem(text: string): PeerCertificate {
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(text)?.[1];
  if (body === undefined) throw invalid('Invalid PEM encoded certificate');
  return parseCertificate(Buffer.from(body, 'base64'));
}

function describe(x509: X509Certificate): PeerCertificate {
  return {
    fingerprint: createHash('sha256').update(x509.raw).digest('hex'),
    x509,
    notBefore: Date.parse(x509.validFrom),
    notAfter: Date.parse(x509.validTo),
  };
}

/** PEM with the line length LXD uses, ending in a newline. */
export function toPem(der: Uint8Array, label = 'CERTIFICATE'): string {
  const lines = Buffer.from(der).toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The common name of a certificate's subject, empty when it has none. */
export function commonNameOf(x509: X509Certificate): string {
  const line = x509.subject.split('\n').find((l) => l.startsWith('CN='));
  return line === undefined ? '' : line.slice(3);
}
