import { isIP } from 'node:net';
import { randomHex } from '#kernel';

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface LeafRequest {
  readonly name: string;
  /** IP addresses and DNS names the holder answers on; empty for one that only connects. */
  readonly hosts: readonly string[];
  /** Whether it may serve as well as connect. etcd's peers and its own gateway do both with one certificate. */
  readonly serves: boolean;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 24 * 3600 * 1000;
/** Members' clocks differ; a certificate that is not valid yet on the peer would keep it out. */
const backDatedMs = dayMs;
const authorityYears = 30;
const leafYears = 10;

/** A new authority of its own: what signs for one etcd cluster signs for nothing else (hazards C5). */
export async function createAuthority(name: string, now = new Date()): Promise<KeyPair> {
  const x509 = await loadX509();
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ O: ['Roost'] }, { CN: [name] }],
    ...validity(now, authorityYears),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.BasicConstraintsExtension(true, 0, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemText(certificate.toString('pem')), key: await exportKey(keys.privateKey) };
}

/** A leaf signed by `authority`. */
export async function issueLeaf(authority: KeyPair, request: LeafRequest, now = new Date()): Promise<KeyPair> {
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await crypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(authority.key), algorithm, false, ['sign']);
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const usages = request.serves ? [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth] : [x509.ExtendedKeyUsage.clientAuth];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    issuer: issuer.subject,
    subject: [{ O: ['Roost'] }, { CN: [request.name] }],
    ...validity(now, leafYears),
    signingAlgorithm: algorithm,
    signingKey,
    publicKey: keys.publicKey,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages),
      new x509.BasicConstraintsExtension(false, undefined, true),
      ...(request.hosts.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(request.hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' as const : 'ip' as const, value })))]),
      await x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()),
    ],
  });
  return { certificate: pemText(certificate.toString('pem')), key: await exportKey(keys.privateKey) };
}

/** Large, and needed only where something is signed. */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

function validity(now: Date, years: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - backDatedMs), notAfter: new Date(now.getTime() + years * 365 * dayMs) };
}

/** 128 random bits, positive as X.509 wants it. */
function serialNumber(): string {
  return randomHex(16).replace(/^[089a-f]/, '7');
}

async function exportKey(key: CryptoKey): Promise<string> {
  const { PemConverter } = await loadX509();
  return pemText(PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY'));
}

function pemText(pem: string): string {
  return `${pem.trim()}\n`;
}
