import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AppError, Logger, messageOf } from '#kernel';
import { VolumeArchives } from '#ports';
import { ChangeFeed, type RowChange } from '#platform/database';
import { ReconcileRunner } from '#platform/reconcile';
import { toYaml, VolumesService } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceSpecs } from '../instance-specs.js';
import { InstanceDescription } from './instance-description.service.js';

export const backupYamlReconciler = 'backup-yaml';

/** Changes of one instance are gathered this long: whoever changes it does not wait, and many changes are written once. */
const gatherMs = 1000;
/** And those that may concern every instance. */
const gatherAllMs = 10_000;
/** Position of `instance_id` among the columns of `instances_snapshots`. */
const snapshotOwner = 1;

/**
 * Keeps `backup.yaml` in each volume of this member true: what an instance is, so that it can be made again from its volume alone. Written soon after each change of its
 * rows, and before a backup is packed.
 */
@Injectable()
export class BackupYaml {
  private readonly dirty = new Set<number>();
  private all = true;
  private timer: NodeJS.Timeout | undefined;
  private dueAtMs = Infinity;
  /** By the instance's id, of what was written last by this process. */
  private readonly written = new Map<number, string>();

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
    private readonly description: InstanceDescription,
    private readonly specs: InstanceSpecs,
    private readonly volumes: VolumesService,
    private readonly archives: VolumeArchives,
    private readonly runner: ReconcileRunner,
    private readonly feed: ChangeFeed,
    private readonly logger: Logger,
  ) {}

  register(): void {
    this.feed.subscribe(['instances'], (changes) => this.mark(changes.map(({ key }) => Number(key[0]))));
    this.feed.subscribe(['instances_snapshots'], (changes) => this.markSnapshots(changes));
    this.feed.subscribe(['profiles', 'storage_pools', 'storage_pools_nodes'], () => this.markAll());
    // Rows that come and go do so with their instance's or snapshot's.
    this.feed.subscribe(['storage_volumes', 'storage_volumes_snapshots'], (changes) => { if (changes.some(({ op }) => op === 'update')) this.markAll(); });
    this.feed.onReset(() => this.markAll());
    this.member.onChange((id) => { if (this.written.has(id)) this.markIdmap(id); });
  }

  /** Writes what is due; called by the reconciler. */
  async settle(signal: AbortSignal): Promise<void> {
    clearTimeout(this.timer);
    this.dueAtMs = Infinity;
    const ids = new Set(this.dirty);
    const everything = this.all;
    this.dirty.clear();
    this.all = false;
    for (const instance of this.catalog.local()) {
      if (signal.aborted) {
        this.all = true;
        return;
      }
      if (instance.row.state === 'Created' && (everything || ids.has(instance.row.id))) await this.bringUpToDate(instance);
    }
    for (const id of this.written.keys()) if (this.catalog.findById(id) === undefined) this.written.delete(id);
  }

  /** At once, unless it says so already. A volume that takes no file (a quota used up) is packed with the one it has. */
  async write(instance: ExpandedInstance): Promise<void> {
    const { text, hash } = this.present(instance);
    if (this.written.get(instance.row.id) === hash) return;
    const volume = this.volumes.volumeSpec(this.specs.volumeKey(instance));
    try {
      await this.archives.writeVolumeFile(volume, 'backup.yaml', text);
      this.written.set(instance.row.id, hash);
    } catch (error) {
      if (AppError.is(error, 'not-found')) return;
      this.logger.warn('Failed to write the description of an instance into its volume', { instance: instance.row.name, project: instance.row.project, error: messageOf(error) });
    }
  }

  /** The first time the file itself says whether it is true; a daemon that was killed may have left it behind. */
  private async bringUpToDate(instance: ExpandedInstance): Promise<void> {
    const { id } = instance.row;
    if (!this.written.has(id)) {
      const text = await this.archives.readVolumeFile(this.volumes.volumeSpec(this.specs.volumeKey(instance)), '', 'backup.yaml').catch(() => '');
      if (text !== '') this.written.set(id, hashOf(text));
    }
    await this.write(instance);
  }

  private present(instance: ExpandedInstance): { readonly text: string; readonly hash: string } {
    const text = toYaml(this.description.describe(instance));
    return { text, hash: hashOf(text) };
  }

  private mark(ids: readonly number[]): void {
    for (const id of ids) this.dirty.add(id);
    this.due(gatherMs);
  }

  private markSnapshots(changes: readonly RowChange[]): void {
    const owners = changes.map(({ before, after }) => after?.[snapshotOwner] ?? before?.[snapshotOwner]);
    // A renamed one does not say whose it is.
    if (owners.includes(undefined)) this.markAll(gatherMs);
    else this.mark(owners.map(Number));
  }

  /** Of what the host decides only how ids lie in the files matters to whoever finds the volume; it is seldom another one. */
  private markIdmap(id: number): void {
    const was = this.idmaps.get(id);
    const is = this.member.get(id).volatile['volatile.last_state.idmap'] ?? '';
    if (was === is) return;
    this.idmaps.set(id, is);
    this.mark([id]);
  }

  private readonly idmaps = new Map<number, string>();

  private markAll(afterMs = gatherAllMs): void {
    this.all = true;
    this.due(afterMs);
  }

  private due(afterMs: number): void {
    const dueAtMs = performance.now() + afterMs;
    if (dueAtMs >= this.dueAtMs) return;
    this.dueAtMs = dueAtMs;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.runner.signal(backupYamlReconciler), afterMs).unref();
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
