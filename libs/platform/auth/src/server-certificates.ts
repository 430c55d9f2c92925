import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Injectable } from '@nestjs/common';
import { internal, wrap, type StateDirectory } from '#kernel';
import { toPem } from './client-certificate.js';

/** The server's own certificate and key, PEM. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly key: string;
  /** SHA-256 of the DER, hex: what clients confirm when they add the remote. */
  readonly fingerprint: string;
}

/** PKI mode: clients must be signed by this CA. Both files are placed by the administrator before start. */
export interface PkiFiles {
  readonly ca: X509Certificate;
  /** Serial numbers, upper-case hex, revoked by `ca.crl`. */
  readonly revoked: ReadonlySet<string>;
}

/**
 * `server.crt` and `server.key`: made at the first start, read ever after. They lie in the state directory as LXD's do; a daemon
 * that may not write there (it needs no root) keeps them in `database/`, the directory that is its own.
 */
@Injectable()
export class ServerCertificates {
  private loaded: ServerCertificate | undefined;
  private pkiFiles: PkiFiles | null = null;

  constructor(private readonly directory: StateDirectory) {}

  /** Loads or makes the certificate. Call once before listening. */
  async prepare(): Promise<void> {
    this.loaded = this.read(this.directory.root) ?? this.read(this.directory.database) ?? (await this.create());
    this.pkiFiles = await readPki(this.directory.root);
  }

  get current(): ServerCertificate {
    if (this.loaded === undefined) throw internal('Server certificate is not loaded');
    return this.loaded;
  }

  /** Null unless `server.ca` is there. */
  get pki(): PkiFiles | null {
    return this.pkiFiles;
  }

  private read(folder: string): ServerCertificate | undefined {
    const certificate = `${folder}/server.crt`;
    const key = `${folder}/server.key`;
    if (!existsSync(certificate) || !existsSync(key)) return undefined;
    try {
      return describe(readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8'));
    } catch (error) {
      throw wrap(error, `Failed loading "${certificate}"`);
    }
  }

  private async create(): Promise<ServerCertificate> {
    const { certificate, key } = await generateServerCertificate(hostname());
    for (const folder of [this.directory.root, this.directory.database]) {
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(`${folder}/server.key`, key, { mode: 0o600 });
        await writeFile(`${folder}/server.crt`, certificate, { mode: 0o644 });
        return describe(certificate, key);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? '';
        if (!['EACCES', 'EPERM', 'EROFS'].includes(code) || folder === this.directory.database) {
          throw wrap(error, 'Failed to create the server certificate');
        }
      }
    }
    throw internal('Failed to create the server certificate');
  }
}

function describe(certificate: string, key: string): ServerCertificate {
  const { raw } = new X509Certificate(certificate);
  return { certificate, key, fingerprint: createHash('sha256').update(raw).digest('hex') };
}

async function readPki(folder: string): Promise<PkiFiles | null> {
  if (!existsSync(`${folder}/server.ca`)) return null;
  const ca = new X509Certificate(readFileSync(`${folder}/server.ca`));
  const revoked = new Set<string>();
  if (existsSync(`${folder}/ca.crl`)) {
    const x509 = await loadX509();
    const text = readFileSync(`${folder}/ca.crl`, 'utf8');
    for (const entry of new x509.X509Crl(text).entries) revoked.add(entry.serialNumber.toUpperCase());
  }
  return { ca, revoked };
}

/** The library is large and needed at the first start only (or with a revocation list), so it is not loaded otherwise. */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

const tenYearsMs = 10 * 365 * 24 * 3600 * 1000;

/** A self-signed certificate shaped like LXD's: ECDSA P-384, ten years, the host's name and loopback as alternative names. */
export async function generateServerCertificate(host: string): Promise<{ certificate: string; key: string }> {
  const x509 = await loadX509();
  const algorithm = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const notBefore = new Date();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex').replace(/^[89a-f]/, '7'),
    name: `O=linuxcontainers.org, CN=root@${host}`,
    notBefore,
    notAfter: new Date(notBefore.getTime() + tenYearsMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: host },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
    ],
  });
  const key = toPem(new Uint8Array(await crypto.subtle.exportKey('pkcs8', keys.privateKey)), 'PRIVATE KEY');
  return { certificate: toPem(new Uint8Array(certificate.rawData)), key };
}
