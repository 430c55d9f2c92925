import { join, resolve } from 'node:path';
import type { CommandResult } from './target.js';
import { Cluster, type ClusterOptions } from './cluster.js';
import { same, type CompareOptions } from './compare.js';
import { must } from './pair.js';

const ourClient = join(resolve(import.meta.dirname, '../..'), 'deploy/compat');

/**
 * A cluster of ours and one of real LXD, formed alike, for comparing what the client shows. In namespaces both have the same addresses, and
 * networks the same names, so their outputs need no masks for those.
 */
export class ClusterPair {
  readonly roost: Cluster;
  readonly lxd: Cluster;

  /** TARGET=lxd makes both LXD's: whatever differs then is the test's own fault. */
  constructor(options: Omit<ClusterOptions, 'kind'>) {
    this.roost = new Cluster({ mode: 'namespaces', ...options, kind: process.env['TARGET'] === 'lxd' ? 'lxd' : 'roost' });
    this.lxd = new Cluster({ mode: 'namespaces', ...options, kind: 'lxd' });
  }

  get both(): Cluster[] { return [this.roost, this.lxd]; }

  /** Both clusters with the image `bb`, pool `default` and the profile's root disk. */
  async form(): Promise<void> {
    for (const cluster of this.both) {
      await cluster.form();
      cluster.importImage();
    }
  }

  /** Runs a shell line through member `index` of both and expects the same exit code and output. Returns ours. CLIENT=roost: as `sameByClients`. */
  same(line: string, index = 1, options: CompareOptions = {}): CommandResult {
    if (process.env['CLIENT'] === 'roost') return this.sameByClients(line, index, options);
    return same(this.roost.member(index), this.lxd.member(index), line, options);
  }

  /** As `same`, with our command line for `lxc` on our cluster. */
  sameByClients(line: string, index = 1, options: CompareOptions = {}): CommandResult {
    const ours = this.roost.member(index);
    const env: CompareOptions['env'] = (target) => ({ ...options.env?.(target), ...(target === ours ? { PATH: `${ourClient}:${process.env['PATH']}` } : {}) });
    return same(ours, this.lxd.member(index), line, { ...options, env });
  }

  /** The same step on both, not compared; throws where either fails. */
  must(line: string, index = 1): void {
    for (const cluster of this.both) must(cluster.member(index), line);
  }

  async destroy(): Promise<void> {
    await Promise.all(this.both.map((cluster) => cluster.destroy()));
  }
}
