import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EtcdClient } from '../etcd/etcd-client.js';

const askTimeoutMs = 1000;

/**
 * Tells a voter's data that was restored from a backup (hazards A6): Raft rests on a voter never forgetting what it has agreed to. A counter in the data
 * directory rises at each start, and the cluster keeps the highest seen; so does it the index of the last entry each member has on
 * disk. Data that is behind either is of the past.
 */
export class VoterBoots {
  constructor(private readonly incarnation: string, private readonly memberId: number, private readonly dataDirectory: string) {}

  /** Why the data here is older than what the cluster has seen of it; null when it is not, or when no other voter answers. */
  async regression(client: EtcdClient, others: readonly string[], appliedIndex: number): Promise<string | null> {
    const [boots, flushed] = await Promise.all([this.seen(client, others, this.key), this.seen(client, others, Buffer.from(`${this.incarnation}/flushed/${this.memberId}`))]);
    if (boots !== null && boots > this.read()) return `its data is of start ${this.read()}, the cluster has seen start ${boots}`;
    if (flushed !== null && flushed > appliedIndex) return `this member's rows are of entry ${appliedIndex}, it had entry ${flushed} on disk`;
    return null;
  }

  /** Before data that is there is used again: counts the start, unless the data is not to be used. Then why is returned. */
  async admit(client: EtcdClient, others: readonly string[], appliedIndex: number): Promise<string | null> {
    const reason = existsSync(join(this.dataDirectory, 'member')) ? await this.regression(client, others, appliedIndex) : 'its data is gone';
    if (reason === null) await this.raise();
    return reason;
  }

  /** Before a start. */
  async raise(): Promise<number> {
    const next = this.read() + 1;
    await mkdir(this.dataDirectory, { recursive: true, mode: 0o700 });
    await writeFile(`${this.path}.new`, String(next), { mode: 0o600, flush: true });
    await rename(`${this.path}.new`, this.path);
    return next;
  }

  /** After a start, once the cluster answers. */
  async announce(client: EtcdClient): Promise<void> {
    await client.put({ key: this.key, value: Buffer.from(String(this.read())) });
  }

  /** A voter that begins anew counts anew. */
  async forget(client: EtcdClient): Promise<void> {
    await client.deleteRange({ key: this.key });
  }

  private read(): number {
    return existsSync(this.path) ? Number(readFileSync(this.path, 'utf8')) || 0 : 0;
  }

  /** The highest any other voter knows; without a majority, too, since this may be the one that is missing for it. */
  private async seen(client: EtcdClient, others: readonly string[], key: Buffer): Promise<number | null> {
    const answers = await Promise.allSettled(others.map((endpoint) => client.range({ key, serializable: true }, { endpoint, timeoutMs: askTimeoutMs })));
    const values = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.kvs.map((kv) => Number(kv.value.toString())) : []));
    return values.length === 0 ? null : Math.max(...values);
  }

  private get key(): Buffer {
    return Buffer.from(`${this.incarnation}/boots/${this.memberId}`);
  }

  private get path(): string {
    return join(this.dataDirectory, 'boots');
  }
}
