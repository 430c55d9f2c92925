import { Injectable } from '@nestjs/common';
import type { ConfigMap, DeviceMap, InstanceType } from '#api-types';
import { findRootDisk, instanceVolumeKeys } from '#config-schema';
import { AppError, LocalMember } from '#kernel';
import type { IdmapEntry } from '#ports';
import type { Sql, Tx } from '#platform/database';
import { SnapshotVolumes, VolumesService, type DescribedInstance, type InstanceVolumeKey } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository, type InstanceRow } from '../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceRows } from '../instance-rows.service.js';
import { sorted } from '../rules/expand.rules.js';
import { checkSnapshotName } from '../rules/snapshot-name.rules.js';
import { isHostDerived } from '../rules/volatile.rules.js';

const idmapKey = 'volatile.last_state.idmap';

/** Where an instance is to be that is described elsewhere. */
export interface DescribedPlace {
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
}

/** Rows of instances that come with a description: from a backup, or found in a volume. */
@Injectable()
export class DescribedRows {
  constructor(
    private readonly rows: InstanceRows,
    private readonly repository: InstanceRepository,
    private readonly snapshots: InstanceSnapshotRepository,
    private readonly catalog: InstanceCatalog,
    private readonly neighbors: InstanceNeighbors,
    private readonly volumes: VolumesService,
    private readonly snapshotVolumes: SnapshotVolumes,
    private readonly self: LocalMember,
  ) {}

  /** Writes the rows of the instance, its volume and its snapshots. `snapshots` are names, oldest first. @throws in the words of whatever is wrong. */
  reserve(tx: Tx, place: DescribedPlace, described: DescribedInstance, snapshots: readonly string[], host: { readonly idmap: readonly IdmapEntry[]; readonly architectures: readonly string[] }): ExpandedInstance {
    const from = described.container!;
    const projectId = this.neighbors.projectId(place.project, tx.sql);
    const profiles = this.neighbors.profileIds(place.project, from.profiles, () => new ProfileMissing(), tx.sql);
    const draft = {
      memberId: this.self.id, projectId, name: place.name, type: place.type, architecture: from.architecture || host.architectures[0]!, ephemeral: from.ephemeral, description: from.description,
      profiles, config: kept(from.config),
    };
    const made = this.rows.reserve(tx, place.project, { ...draft, devices: this.devicesOn(tx.sql, place, draft, from.devices) }, host.idmap);
    const { id } = made.row;
    this.repository.setTimes(tx, id, { createdAt: timeOr(from.created_at, made.row.createdAt), lastUsedAt: timeOr(from.last_used_at, made.row.lastUsedAt) });
    const shifted = from.config[idmapKey] ?? '';
    if (shifted !== '' && shifted !== '[]') this.repository.update(tx, id, { ...made.row, config: sorted({ ...made.row.config, [idmapKey]: shifted }) });
    this.reserveVolume(tx, place, described, snapshots, { id, profiles });
    return this.catalog.expand(this.repository.findById(id, tx.sql)!, tx.sql);
  }

  private reserveVolume(tx: Tx, place: DescribedPlace, described: DescribedInstance, names: readonly string[], instance: { readonly id: number; readonly profiles: readonly number[] }): void {
    const key: InstanceVolumeKey = { ...place };
    const config = knownKeys(described.volume?.config ?? {});
    if (Object.keys(config).length > 0) this.volumes.setInstanceVolumeConfig(tx, key, config);
    for (const name of names) {
      checkSnapshotName(name);
      const of = described.snapshots.find((one) => one.name.slice(one.name.lastIndexOf('/') + 1) === name);
      const createdAt = timeOr(of?.created_at ?? '', tx.now.toISOString());
      const expiresAt = timeOr(of?.expires_at ?? '', '') || null;
      const { config: had, devices } = of ?? described.container!;
      this.snapshots.insert(tx, instance.id, {
        name, createdAt, stateful: false, description: '', expiresAt, config: sorted(had),
        devices: this.devicesOn(tx.sql, place, { profiles: instance.profiles, config: had }, devices),
      }, 'Created');
      this.snapshotVolumes.reserve(tx, key, { name, createdAt, expiresAt });
    }
  }

  /** The instance's devices, its root disk on the pool where it is to be. */
  private devicesOn(sql: Sql, { project, pool }: DescribedPlace, draft: { readonly profiles: readonly number[]; readonly config: ConfigMap }, devices: Readonly<DeviceMap>): DeviceMap {
    const row = { ...draft, id: 0, project, devices } as unknown as InstanceRow;
    const root = this.rootOf(this.catalog.expand(row, sql).expandedDevices);
    if (root === undefined) return { ...devices, root: { type: 'disk', path: '/', pool } };
    if (root.config['pool'] === pool) return { ...devices };
    return { ...devices, [root.name]: { ...root.config, pool } };
  }

  private rootOf(devices: Readonly<DeviceMap>): { readonly name: string; readonly config: Readonly<ConfigMap> } | undefined {
    try {
      return findRootDisk(devices) as { name: string; config: ConfigMap };
    } catch (error) {
      if (AppError.is(error, 'not-found')) return undefined;
      throw error;
    }
  }
}

/** In LXD's words; which one is missing it does not say. */
export class ProfileMissing extends AppError {
  constructor() {
    super('not-found', 'Failed loading profiles for instance: Profile not found');
  }
}

/** What the host of the backup did concerns nobody here. */
function kept(config: Readonly<ConfigMap>): ConfigMap {
  return sorted(Object.fromEntries(Object.entries(config).filter(([key]) => !isHostDerived(key) || key === 'volatile.apply_template')));
}

function knownKeys(config: Readonly<ConfigMap>): ConfigMap {
  return Object.fromEntries(Object.entries(config).filter(([key]) => instanceVolumeKeys.find(key) !== undefined));
}

function timeOr(text: string, otherwise: string): string {
  const time = Date.parse(text);
  return Number.isNaN(time) || time < 0 ? otherwise : text;
}

