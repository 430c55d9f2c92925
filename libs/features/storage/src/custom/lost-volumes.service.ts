import { Injectable } from '@nestjs/common';
import { AppError, type RequestContext } from '#kernel';
import { VolumeSnapshots, type VolumeSpec } from '#ports';
import { Database, TransactionRunner } from '#platform/database';
import { ProjectsService } from '#features/projects';
import { VolumeSnapshotsRepository } from '../data/volume-snapshots.repository.js';
import { VolumesRepository, type ContentType, type VolumeKey } from '../data/volumes.repository.js';

/** A custom volume in a pool that no row names. */
export interface LostVolume {
  readonly pool: string;
  readonly project: string;
  readonly name: string;
  readonly contentType: ContentType;
  /** On disk; in what order they were taken nobody knows. */
  readonly snapshots: readonly string[];
}

/** Finds custom volumes whose rows were lost, and writes them anew. Of what the rows said the host knows names, snapshots and the kind of content; the volumes themselves stay as they are. */
@Injectable()
export class LostVolumes {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly rows: VolumeSnapshotsRepository,
    private readonly snapshots: VolumeSnapshots,
    private readonly projects: ProjectsService,
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

  /** Does nothing where somebody has made its row meanwhile. */
  async bringBack(ctx: RequestContext, lost: LostVolume): Promise<void> {
    const key = keyOf(lost);
    await this.runner.run(ctx, (tx) => {
      if (this.volumes.find(tx.sql, key) !== undefined) return;
      this.volumes.insert(tx, key, { contentType: lost.contentType });
      const { id } = this.volumes.get(tx.sql, key);
      for (const name of lost.snapshots) this.rows.insert(tx, id, { name, createdAt: tx.now.toISOString(), expiresAt: null });
    });
  }
}

function keyOf({ pool, project, name }: Pick<LostVolume, 'pool' | 'project' | 'name'>): VolumeKey {
  return { pool, project, type: 'custom', name };
}
