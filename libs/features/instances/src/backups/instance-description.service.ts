import { Injectable } from '@nestjs/common';
import { Database } from '#platform/database';
import { PoolsService, SnapshotVolumes, VolumesService } from '#features/storage';
import { instanceStatusCodes } from '#api-types';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceSpecs } from '../instance-specs.js';
import { toApi } from '../rules/wire.rules.js';
import { zeroTime } from '../rules/snapshot-expiry.rules.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';

/** What `index.yaml` of a backup says beside the description. */
export interface BackupFacts {
  readonly instanceOnly: boolean;
  readonly optimized: boolean;
}

/**
 * All that is known of an instance, in LXD's form: `backup.yaml` in its volume, from which it can be made again, and `index.yaml` of its backups.
 */
@Injectable()
export class InstanceDescription {
  constructor(
    private readonly database: Database,
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
    private readonly snapshots: InstanceSnapshots,
    private readonly specs: InstanceSpecs,
    private readonly volumes: VolumesService,
    private readonly volumeSnapshots: SnapshotVolumes,
    private readonly pools: PoolsService,
  ) {}

  /** Plain data of `backup.yaml`. */
  describe(instance: ExpandedInstance, { instanceOnly = false } = {}): Record<string, unknown> {
    const { row } = instance;
    const key = this.specs.volumeKey(instance);
    const volume = this.volumes.find(key);
    const snapshots = instanceOnly ? [] : this.snapshots.list(instance);
    const rows = new Map(this.volumeSnapshots.list(key).map((one) => [one.name, one]));
    return {
      container: this.instanceOf(instance),
      snapshots: snapshots.length === 0 ? undefined : snapshots.map((snapshot) => this.snapshots.api(instance, snapshot)),
      pool: this.poolOf(key.pool), profiles: this.profilesOf(row.profiles),
      volume: {
        config: volume?.config ?? {}, description: volume?.description ?? '', name: row.name, type: row.type, used_by: [], location: row.location, content_type: 'filesystem',
        project: row.project, created_at: volume?.createdAt ?? zeroTime,
      },
      volume_snapshots: snapshots.length === 0 ? undefined : snapshots.map(({ name }) => {
        const of = rows.get(name);
        return {
          description: of?.description ?? '', expires_at: of?.expiresAt ?? zeroTime, name, config: of?.config ?? {}, content_type: 'filesystem', created_at: of?.createdAt ?? zeroTime,
        };
      }),
    };
  }

  /** Plain data of `index.yaml`. */
  index(instance: ExpandedInstance, facts: BackupFacts): Record<string, unknown> {
    const { name, type } = instance.row;
    const pool = this.pools.spec(this.specs.volumeKey(instance).pool);
    const snapshots = facts.instanceOnly ? [] : this.snapshots.list(instance).map((snapshot) => snapshot.name);
    return {
      name, backend: pool.driver, pool: pool.name, snapshots: snapshots.length === 0 ? undefined : snapshots, optimized: facts.optimized, optimized_header: facts.optimized, type,
      config: this.describe(instance, facts),
    };
  }

  private instanceOf(instance: ExpandedInstance): unknown {
    const { row, profileNames, expandedDevices } = instance;
    return {
      ...toApi({
        ...row, profiles: profileNames, config: this.catalog.ownConfig(instance), expandedConfig: this.catalog.fullConfig(instance), expandedDevices,
        lastUsedAt: this.member.get(row.id).lastUsedAt || row.lastUsedAt,
      }, 'Stopped'),
      // Whether it ran when this was written says nothing to whoever reads it.
      status: 'Stopped', status_code: instanceStatusCodes.Stopped,
    };
  }

  private poolOf(name: string): unknown {
    const { driver, config, description } = this.pools.get(name);
    return { config, description, name, driver, used_by: [], status: 'Created', locations: [] };
  }

  private profilesOf(ids: readonly number[]): unknown[] {
    const rows = this.database.read.all<{ id: number; name: string; description: string; config: string; devices: string }>(
      'SELECT id, name, description, config, devices FROM profiles WHERE id IN (SELECT value FROM json_each(?))', JSON.stringify(ids));
    return ids.flatMap((id) => {
      const row = rows.find((one) => one.id === id);
      return row === undefined ? [] : [{ config: JSON.parse(row.config) as object, description: row.description, devices: JSON.parse(row.devices) as object, name: row.name, used_by: [] }];
    });
  }
}
