import { Injectable } from '@nestjs/common';
import type { StorageVolumeSnapshot } from '#api-types';
import { notFound } from '#kernel';
import { Database, type Sql } from '#platform/database';
import type { VolumeInUrl } from './api/volume-url.js';
import { VolumeSnapshotsRepository, type VolumeSnapshotRow } from './data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeRow } from './data/volumes.repository.js';
import { PoolUsers } from './pool-users.service.js';
import { PoolsService } from './pools.service.js';
import { VolumeRequests } from './volume-requests.service.js';

/** What LXD says of one that never expires: in a list nothing, else the year 1. */
const never = '0001-01-01T00:00:00Z';

/** Snapshots of volumes, of instances' as of custom ones, as the API shows them. */
@Injectable()
export class VolumeSnapshotViews {
  constructor(
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly requests: VolumeRequests,
    private readonly pools: PoolsService,
    private readonly users: PoolUsers,
  ) {}

  urls(volume: VolumeInUrl): string[] {
    const row = this.find(this.database.read, volume);
    return row === undefined ? [] : this.shown(row).map(({ name }) => this.users.volumeUrl({ ...row, name: `${row.name}/${name}` }));
  }

  /** In lists LXD names snapshots with their volumes, and leaves out what the files are. */
  list(volume: VolumeInUrl): StorageVolumeSnapshot[] {
    const row = this.find(this.database.read, volume);
    return row === undefined ? [] : this.shown(row).map((snapshot) => ({
      ...this.api(row, snapshot), name: `${row.name}/${snapshot.name}`, content_type: '', expires_at: snapshot.expiresAt,
    }));
  }

  /** @throws `not-found` in LXD's words. */
  get(volume: VolumeInUrl, name: string, sql: Sql = this.database.read): { row: VolumeRow; snapshot: VolumeSnapshotRow } {
    const row = this.find(sql, volume);
    const snapshot = row && this.snapshots.find(sql, row.id, name);
    if (row === undefined || snapshot === undefined) throw notFound('Storage pool volume not found');
    return { row, snapshot };
  }

  api({ contentType }: VolumeRow, { name, config, description, expiresAt, createdAt }: VolumeSnapshotRow): StorageVolumeSnapshot {
    return { config, content_type: contentType, created_at: createdAt, description, expires_at: expiresAt ?? never, name };
  }

  private find(sql: Sql, { pool, type, project, name, target }: VolumeInUrl): VolumeRow | undefined {
    const key = this.requests.key(pool, type, project, name, target);
    this.pools.get(pool);
    return this.volumes.locate(sql, key);
  }

  private shown(row: VolumeRow): VolumeSnapshotRow[] {
    return this.snapshots.list(this.database.read, row.id);
  }
}

/** What the ETag of a snapshot covers. */
export function etagOfVolumeSnapshot({ type }: Pick<VolumeRow, 'type'>, { name, description, expiresAt }: VolumeSnapshotRow): unknown {
  return [name, type, description, expiresAt];
}
