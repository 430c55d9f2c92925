import { Injectable } from '@nestjs/common';
import { internal, isTrue, notFound } from '#kernel';
import type { VolumeSpec } from '#ports';
import { Database, type Sql } from '#platform/database';
import { ProjectsService } from '#features/projects';
import { PoolsRepository } from '../data/pools.repository.js';
import { VolumesRepository, type VolumeRow } from '../data/volumes.repository.js';
import { VolumeUsers } from './volume-users.service.js';
import { CustomVolumeHost } from './custom-volume-host.js';

/** A disk device that names a custom volume, as its instance sees it. */
export interface VolumeDisk {
  /** The instance's. */
  readonly project: string;
  /** The instance's. */
  readonly memberId: number;
  readonly pool: string;
  readonly source: string;
  readonly path: string;
}

/** How the files of a volume appear in an instance. */
export interface AttachedVolume {
  readonly volume: VolumeSpec;
  /** With the instance's ids; otherwise with those on disk. */
  readonly mapped: boolean;
  /** Instances with different id maps may share it. */
  readonly shared: boolean;
}

/** Custom volumes for instances that have them as disks. */
@Injectable()
export class AttachedVolumes {
  constructor(
    private readonly database: Database,
    private readonly pools: PoolsRepository,
    private readonly volumes: VolumesRepository,
    private readonly projects: ProjectsService,
    private readonly host: CustomVolumeHost,
    private readonly users: VolumeUsers,
  ) {}

  /** @throws in LXD's words where a container cannot have the disk. */
  check(sql: Sql, disk: VolumeDisk): void {
    if (this.pools.find(sql, disk.pool) === undefined) throw internal(`Failed to get storage pool "${disk.pool}": Storage pool not found`);
    const row = this.find(sql, disk);
    if (row === undefined) throw internal('Failed loading custom volume: Storage volume not found');
    this.users.refuseOwn(row, 'Volumes used by LXD itself cannot be used by instances');
    if (row.contentType === 'block') throw internal('Custom block volumes cannot be used on containers');
    if (disk.path === '') throw internal('Custom filesystem volumes require a path to be defined');
  }

  /** For the host. @throws `not-found` for a volume that is not there. */
  get(disk: VolumeDisk): AttachedVolume {
    const row = this.find(this.database.read, disk);
    if (row === undefined) throw notFound('Failed loading custom volume: Storage volume not found');
    return { volume: this.host.spec(row), mapped: !isTrue(row.config['security.unmapped']), shared: isTrue(row.config['security.shifted']) };
  }

  private find(sql: Sql, { project, memberId, pool, source }: VolumeDisk): VolumeRow | undefined {
    return this.volumes.findCreated(sql, { pool, project: this.projects.volumeProject(project, sql), type: 'custom', name: source, memberId });
  }
}
