import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { notFound } from '#kernel';
import type { EtcdCredentials } from '../etcd/voter-calls.js';
import type { EtcdCertificateFiles } from '../pki/etcd-pki.js';

const port = z.int().min(1).max(65_535);

/** What the cluster gives a witness, beside its certificate. */
export const witnessPlace = z.object({
  id: z.int().positive(),
  /** History it votes in. */
  incarnation: z.string().regex(/^[0-9a-zA-Z-]+$/),
  /** etcd's own cluster id, decimal: another one answering is refused (hazards A2). */
  clusterId: z.string(),
  /** `host:port` of voters, those that answered last. */
  endpoints: z.array(z.string()).min(1),
});

/** PEM: the authority of the cluster's etcd, and a leaf it signed. The authority's key stays with the members. */
export const witnessCredentials = z.object({ ca: z.string(), certificate: z.string(), key: z.string() });
export type WitnessCredentials = z.infer<typeof witnessCredentials>;

const settings = witnessPlace.extend({
  name: z.string(),
  /** What others dial. */
  host: z.string(),
  peerPort: port,
  clientPort: port,
  /** etcd's id of the voter whose data lies here; absent while it has none. */
  voterId: z.string().optional(),
});
export type WitnessSettings = z.infer<typeof settings>;

/** A witness's directory: its settings, its certificate, and below `etcd` what it votes with. */
export class WitnessFiles {
  constructor(readonly directory: string) {}

  get etcd(): string {
    return join(this.directory, 'etcd');
  }

  /** Null where no witness lives. */
  read(): WitnessSettings | null {
    const text = this.text('witness.json');
    return text === null ? null : settings.parse(JSON.parse(text));
  }

  /** Of a new witness: certificates first, since settings without them are of no use. */
  async create(wanted: WitnessSettings, credentials: WitnessCredentials): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
    await mkdir(join(this.directory, 'pki'), { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries({ 'pki/ca.crt': credentials.ca, 'pki/voter.crt': credentials.certificate, 'pki/voter.key': credentials.key })) await this.put(name, text);
    await this.write(wanted);
  }

  async write(wanted: WitnessSettings): Promise<void> {
    await this.put('witness.json', `${JSON.stringify(wanted)}\n`);
  }

  /** As `EtcdPki.voterFiles`: the cluster has signed for this host and no other. */
  voterFiles(): Promise<EtcdCertificateFiles> {
    return Promise.resolve({ ca: join(this.directory, 'pki/ca.crt'), certificate: join(this.directory, 'pki/voter.crt'), key: join(this.directory, 'pki/voter.key') });
  }

  /** The leaf serves and connects. */
  credentials(): EtcdCredentials {
    const [ca, certificate, key] = ['pki/ca.crt', 'pki/voter.crt', 'pki/voter.key'].map((name) => this.text(name));
    if (!ca || !certificate || !key) throw notFound(`The certificates of this witness are gone from ${this.directory}`);
    return { ca, certificate, key };
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  private text(name: string): string | null {
    try {
      return readFileSync(join(this.directory, name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  private async put(name: string, text: string): Promise<void> {
    const path = join(this.directory, name);
    await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
    await rename(`${path}.new`, path);
  }
}
