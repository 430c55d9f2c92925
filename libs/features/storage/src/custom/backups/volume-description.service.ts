import { Injectable } from '@nestjs/common';
import { Database } from '#platform/database';
import { PoolsService } from '../../pools.service.js';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import type { VolumeRow } from '../../data/volumes.repository.js';
import { zeroTime } from '#config-schema';

/** What `index.yaml` of a backup says beside the description. */
export interface VolumeBackupFacts {
  readonly volumeOnly: boolean;
  readonly optimized: boolean;
}

/** `index.yaml` as plain data. */
export interface VolumeIndex extends Record<string, unknown> {
  /** Names, oldest first. */
  readonly snapshots: string[] | undefined;
}

/** All that is known of a custom volume, in LXD's form. */
@Injectable()
export class VolumeDescription {
  constructor(
    private readonly database: Database,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly pools: PoolsService,
  ) {}

  index(volume: VolumeRow, { volumeOnly, optimized }: VolumeBackupFacts): VolumeIndex {
    const { name, config, description, type, location, contentType, project, createdAt } = volume;
    const along = volumeOnly ? [] : this.snapshots.list(this.database.read, volume.id);
    const pool = this.pools.spec(volume.pool);
    return {
      name, backend: pool.driver, pool: pool.name, snapshots: along.length === 0 ? undefined : along.map((snapshot) => snapshot.name), optimized, optimized_header: optimized, type: 'custom',
      config: {
        volume: { config, description, name, type, used_by: [], location, content_type: contentType, project, created_at: createdAt },
        volume_snapshots: along.length === 0 ? undefined : along.map((snapshot) => ({
          description: snapshot.description, expires_at: snapshot.expiresAt ?? zeroTime, name: snapshot.name, config: snapshot.config, content_type: contentType, created_at: snapshot.createdAt,
        })),
      },
    };
  }
}
