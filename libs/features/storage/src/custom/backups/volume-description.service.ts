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
    const pool = this.pools.spec(volume.pool);
    const config = this.describe(volume, volumeOnly);
    return {
      name: volume.name, backend: pool.driver, pool: pool.name, snapshots: config.volume_snapshots?.map(({ name }) => name), optimized, optimized_header: optimized, type: 'custom', config,
    };
  }

  /** With its snapshots, unless it is to be `alone`; without any there is nothing in their place. */
  describe({ id, name, config, description, type, location, contentType, project, createdAt }: VolumeRow, alone: boolean) {
    const along = alone ? [] : this.snapshots.list(this.database.read, id);
    return {
      volume: { config, description, name, type, used_by: [], location, content_type: contentType, project, created_at: createdAt },
      volume_snapshots: along.length === 0 ? undefined : along.map((snapshot) => ({
        description: snapshot.description, expires_at: snapshot.expiresAt ?? zeroTime, name: snapshot.name, config: snapshot.config, content_type: contentType, created_at: snapshot.createdAt,
      })),
    };
  }
}
