import { Injectable } from '@nestjs/common';
import { AppError, type RequestContext } from '#kernel';
import { VolumeArchives, VolumeSnapshots, type IdmapEntry, type VolumeSpec } from '#ports';
import { Database, TransactionRunner } from '#platform/database';
import { ProjectsService } from '#features/projects';
import type { DescribedInstance } from '../backups/backup-index.rules.js';
import { VolumeSnapshotsRepository } from '../data/volume-snapshots.repository.js';
import { VolumesRepository, type ContentType, type VolumeKey } from '../data/volumes.repository.js';
import { PoolsService } from '../pools.service.js';
import { shiftOf } from '../rules/volume-idmap.rules.js';
import { diskName } from './custom-volume-host.js';

/** A custom volume in a pool that no row names. */
export interface LostVolume {
  readonly pool: string;
  readonly project: string;
  readonly name: string;
  readonly contentType: ContentType;
  /** On disk; in what order they were taken nobody knows. */
  readonly snapshots: readonly string[];
}

/** An instance whose volume was found, as it describes itself. */
export interface FoundInstance {
  readonly project: string;
  readonly described: DescribedInstance;
}

/** Finds custom volumes whose rows were lost, and writes them anew. Of what the rows said the host knows names, snapshots and the kind of content. */
@Injectable()
export class LostVolumes {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly rows: VolumeSnapshotsRepository,
    private readonly snapshots: VolumeSnapshots,
    private readonly projects: ProjectsService,
    private readonly pools: PoolsService,
    private readonly archives: VolumeArchives,
  ) {}

  /** Null for one that is known, or whose name no volume of ours has. */
  async look(volume: VolumeSpec): Promise<LostVolume | null> {
    // Names of projects have no underscore, those of volumes may.
    const at = volume.name.indexOf('_');
    if (at < 1 || at === volume.name.length - 1) return null;
    const [project, name, pool] = [volume.name.slice(0, at), volume.name.slice(at + 1), volume.pool.name];
    if (this.volumes.find(this.database.read, keyOf({ pool, project, name })) !== undefined) return null;
    return { pool, project, name, contentType: volume.block === true ? 'block' : 'filesystem', snapshots: (await this.snapshots.listSnapshots(volume)).toSorted() };
  }

  /** What the volume needs that is not there, in LXD's words. */
  missing({ project }: LostVolume): string[] {
    try {
      if (this.projects.volumeProject(project) === project) return [];
    } catch (error) {
      if (!AppError.is(error, 'not-found')) throw error;
    }
    return [`Project "${project}"`];
  }

  /**
   * Does nothing where somebody has made its row meanwhile. Ids in its files that LXD has shifted are taken back: its row, which said so, is lost, but it shifts them as
   * those of an instance that has the volume.
   */
  async bringBack(ctx: RequestContext, lost: LostVolume, instances: readonly FoundInstance[]): Promise<void> {
    const key = keyOf(lost);
    for (const idmap of lost.contentType === 'block' ? [] : this.shiftsOf(lost, instances)) {
      await this.archives.unshiftVolume({ volume: { pool: this.pools.spec(lost.pool), kind: 'custom', name: diskName(lost.project, lost.name) }, snapshots: lost.snapshots, idmap });
    }
    await this.runner.run(ctx, (tx) => {
      if (this.volumes.find(tx.sql, key) !== undefined) return;
      this.volumes.insert(tx, key, { contentType: lost.contentType });
      const { id } = this.volumes.get(tx.sql, key);
      for (const name of lost.snapshots) this.rows.insert(tx, id, { name, createdAt: tx.now.toISOString(), expiresAt: null });
    });
  }

  /** What ids of instances that have the volume were shifted to. */
  private shiftsOf(lost: LostVolume, instances: readonly FoundInstance[]): (readonly IdmapEntry[])[] {
    const users = instances.filter(({ project, described: { container } }) =>
      this.projects.volumeProject(project) === lost.project && Object.values({ ...container?.expanded_devices, ...container?.devices }).some((device) => isDiskOf(device, lost)));
    return users.map(({ described }) => shiftOf(described.container!.config, 'volatile.last_state.idmap')).filter((idmap) => idmap.length > 0);
  }
}

function isDiskOf(device: Readonly<Record<string, string>>, { pool, name }: LostVolume): boolean {
  return device['type'] === 'disk' && device['pool'] === pool && device['source'] === name;
}

function keyOf({ pool, project, name }: Pick<LostVolume, 'pool' | 'project' | 'name'>): VolumeKey {
  return { pool, project, type: 'custom', name };
}
