import { X509Certificate, createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { invalid, unavailable, wrap } from '#kernel';
import { voterServerName, type EtcdCredentials } from '../etcd/voter-calls.js';
import { createAuthority, issueLeaf, type KeyPair, type LeafRequest } from './certificate-authority.js';

/** Where etcd reads its certificates: paths. */
export interface EtcdCertificateFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** A leaf that ends sooner is made anew when it is asked for. */
const renewBeforeMs = 365 * 24 * 3600 * 1000;

/**
 * The certificates of the cluster's etcd, in a directory of this member: an authority that signs for nothing else, a leaf for the voter with
 * its addresses, a leaf for connecting. LXD's cluster certificate cannot serve here: it names one address, is no client's, and is replaced
 * while voters run (hazards C5); this authority stays as long as the incarnation. Every member holds the key, as it does `cluster.key`: each
 * signs its own leaves, so that a voter can be made with no other member's help.
 */
export class EtcdPki {
  constructor(readonly directory: string) {}

  get exists(): boolean {
    return existsSync(this.path('ca.crt')) && existsSync(this.path('ca.key'));
  }

  /** A new authority, at `cluster enable` and at a recovery. Whatever was signed by the former one is worthless from then on. */
  async create(incarnation: string): Promise<void> {
    await this.replaceAuthority(await createAuthority(`etcd ${incarnation}`));
  }

  /** Certificate and key of the authority, for a member that joins. */
  authority(): KeyPair {
    if (!this.exists) throw unavailable('This member holds no certificates of a cluster');
    return { certificate: readFileSync(this.path('ca.crt'), 'utf8'), key: readFileSync(this.path('ca.key'), 'utf8') };
  }

  /** Takes over the authority of the cluster that is joined. */
  async importAuthority(authority: KeyPair): Promise<void> {
    try {
      const certificate = new X509Certificate(authority.certificate);
      if (!certificate.ca || !certificate.checkPrivateKey(createPrivateKey(authority.key))) throw invalid('The key is not the one of the certificate');
    } catch (error) {
      throw invalid('Invalid certificate authority of the cluster', { cause: error });
    }
    await this.replaceAuthority(authority);
  }

  /** What this member connects to etcd with. */
  async clientCredentials(name: string): Promise<EtcdCredentials> {
    const leaf = await this.leaf('client', { name, hosts: [], serves: false });
    return { ca: this.authority().certificate, ...leaf };
  }

  /** What this member's etcd serves and connects to its peers with. `hosts` are its IP addresses and names. */
  async voterFiles(name: string, hosts: readonly string[]): Promise<EtcdCertificateFiles> {
    await this.leaf('voter', { name, hosts: [...new Set([...hosts, name])], serves: true });
    return { ca: this.path('ca.crt'), certificate: this.path('voter.crt'), key: this.path('voter.key') };
  }

  /** A leaf for a voter elsewhere that is not to hold the authority's key, reached at `host`. */
  issueVoter(name: string, host: string): Promise<KeyPair> {
    return issueLeaf(this.authority(), { name, hosts: [host, voterServerName, name], serves: true });
  }

  /** When this member leaves. */
  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  private async leaf(file: string, request: LeafRequest): Promise<KeyPair> {
    const authority = this.authority();
    const known = this.read(file);
    if (known !== null && fits(known, authority, request)) return known;
    const made = await issueLeaf(authority, request);
    await this.write(file, made);
    return made;
  }

  private read(file: string): KeyPair | null {
    try {
      return { certificate: readFileSync(this.path(`${file}.crt`), 'utf8'), key: readFileSync(this.path(`${file}.key`), 'utf8') };
    } catch {
      return null;
    }
  }

  private async replaceAuthority(authority: KeyPair): Promise<void> {
    for (const name of ['voter.crt', 'voter.key', 'client.crt', 'client.key']) await rm(this.path(name), { force: true });
    await this.write('ca', authority);
  }

  private async write(file: string, pair: KeyPair): Promise<void> {
    try {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      // The key first: `exists` and a reader go by both, and a certificate without its key is useless.
      for (const [name, text] of [[`${file}.key`, pair.key], [`${file}.crt`, pair.certificate]] as const) {
        await writeFile(`${this.path(name)}.new`, text, { mode: 0o600, flush: true });
        await rename(`${this.path(name)}.new`, this.path(name));
      }
    } catch (error) {
      throw wrap(error, `Failed writing certificates of etcd to "${this.directory}"`);
    }
  }

  private path(name: string): string {
    return join(this.directory, name);
  }
}

/** Whether a leaf can go on being used: signed by this authority, for these addresses, and for a good while yet. */
function fits(leaf: KeyPair, authority: KeyPair, request: LeafRequest): boolean {
  try {
    const certificate = new X509Certificate(leaf.certificate);
    return certificate.verify(new X509Certificate(authority.certificate).publicKey)
      && certificate.checkPrivateKey(createPrivateKey(leaf.key))
      && certificate.subject.split('\n').includes(`CN=${request.name}`)
      && certificate.validToDate.getTime() - new Date().getTime() > renewBeforeMs
      && request.hosts.every((host) => (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined);
  } catch {
    return false;
  }
}
