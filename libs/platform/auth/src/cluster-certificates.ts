import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Injectable } from '@nestjs/common';
import { invalid, wrap, type StateDirectory } from '#kernel';
import { generateServerCertificate, type ServerCertificate, ServerCertificates } from './server-certificates.js';

/**
 * `cluster.crt` and `cluster.key`, the same on every member: what clients and other members are shown once this member is part of a cluster. In the
 * state directory as LXD's, or in `database/` where the daemon may not write there. Until there is one, the server's own certificate is shown.
 */
@Injectable()
export class ClusterCertificates {
  private loaded: ServerCertificate | null = null;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly directory: StateDirectory,
    private readonly server: ServerCertificates,
  ) {}

  /** Reads what is there. Call once before listening. */
  prepare(): void {
    this.loaded = this.read(this.directory.root) ?? this.read(this.directory.database);
  }

  /** Null outside a cluster. */
  get current(): ServerCertificate | null {
    return this.loaded;
  }

  /** What listeners show. */
  get presented(): ServerCertificate {
    return this.loaded ?? this.server.current;
  }

  /** `listener` is called after each change of `presented`. Returns the way to stop. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Makes the certificate of a new cluster and installs it. */
  async create(): Promise<ServerCertificate> {
    const { certificate, key } = await generateServerCertificate(hostname());
    return this.install(certificate, key);
  }

  /** Replaces both files, each whole or not at all, and shows the certificate from the next connection on. `invalid` when they do not belong together. */
  async install(certificate: string, key: string): Promise<ServerCertificate> {
    const next = describe(certificate, key);
    try {
      await this.write(this.directory.root, next);
      await rm(`${this.directory.database}/cluster.crt`, { force: true });
      await rm(`${this.directory.database}/cluster.key`, { force: true });
    } catch (error) {
      if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw wrap(error, 'Failed to write the cluster certificate');
      await this.write(this.directory.database, next);
    }
    this.show(next);
    return next;
  }

  /** After leaving the cluster. */
  async remove(): Promise<void> {
    for (const folder of [this.directory.root, this.directory.database]) {
      await rm(`${folder}/cluster.crt`, { force: true });
      await rm(`${folder}/cluster.key`, { force: true });
    }
    this.show(null);
  }

  private show(next: ServerCertificate | null): void {
    this.loaded = next;
    for (const listener of this.listeners) listener();
  }

  private read(folder: string): ServerCertificate | null {
    const certificate = `${folder}/cluster.crt`;
    const key = `${folder}/cluster.key`;
    if (!existsSync(certificate) || !existsSync(key)) return null;
    try {
      return describe(readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8'));
    } catch (error) {
      // Killed between the two renames of `write`: the key is the new one already.
      if (!existsSync(`${certificate}.new`)) throw wrap(error, `Failed loading "${certificate}"`);
      renameSync(`${certificate}.new`, certificate);
      return this.read(folder);
    }
  }

  private async write(folder: string, { certificate, key }: ServerCertificate): Promise<void> {
    await writeFile(`${folder}/cluster.crt.new`, certificate, { mode: 0o644 });
    await writeFile(`${folder}/cluster.key.new`, key, { mode: 0o600 });
    await rename(`${folder}/cluster.key.new`, `${folder}/cluster.key`);
    await rename(`${folder}/cluster.crt.new`, `${folder}/cluster.crt`);
  }
}

function describe(certificate: string, key: string): ServerCertificate {
  const x509 = new X509Certificate(certificate);
  if (!x509.checkPrivateKey(createPrivateKey(key))) throw invalid('failed to load cluster TLS certificate: tls: private key does not match public key');
  return { certificate, key, fingerprint: createHash('sha256').update(x509.raw).digest('hex') };
}
