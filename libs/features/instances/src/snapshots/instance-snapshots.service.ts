import { Injectable } from '@nestjs/common';
import type { InstanceSnapshot } from '#api-types';
import { notFound } from '#kernel';
import { apiUrl } from '#platform/http';
import { SnapshotVolumes } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceSnapshotRepository, type SnapshotRow } from '../data/instance-snapshot.repository.js';
import { InstanceSpecs } from '../instance-specs.js';
import { zeroTime } from '../rules/snapshot-expiry.rules.js';

/** Reads snapshots. One that is being made is not shown; one whose removal is under way still is. */
@Injectable()
export class InstanceSnapshots {
  constructor(
    private readonly repository: InstanceSnapshotRepository,
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly volumes: SnapshotVolumes,
  ) {}

  /** Oldest first. */
  list({ row }: ExpandedInstance): SnapshotRow[] {
    return this.repository.listByInstance(row.id).filter(isShown);
  }

  /** Of several instances at once, by the instance's id; without those that have none. */
  listAll(instances: readonly ExpandedInstance[]): Map<number, SnapshotRow[]> {
    const found = this.repository.listByInstances(instances.map(({ row }) => row.id));
    return new Map([...found].map(([id, rows]) => [id, rows.filter(isShown)]));
  }

  /** @throws `not-found` in LXD's words. */
  get({ row }: ExpandedInstance, name: string): SnapshotRow {
    const snapshot = this.repository.find(row.id, name);
    if (snapshot === undefined || !isShown(snapshot)) {
      throw notFound(`Failed to fetch snapshot "${name}" of instance "${row.name}" in project "${row.project}": InstanceSnapshot not found`);
    }
    return snapshot;
  }

  /** By the present name of the collection, whichever was asked, as LXD does. */
  urls(instance: ExpandedInstance): string[] {
    const { name, project } = instance.row;
    return this.list(instance).map((snapshot) => apiUrl(['1.0', 'instances', name, 'snapshots', snapshot.name], project));
  }

  full(instance: ExpandedInstance): InstanceSnapshot[] {
    return this.list(instance).map((snapshot) => this.api(instance, snapshot));
  }

  /** With what they hold by themselves on disk, where that is counted. */
  async measured(instance: ExpandedInstance, snapshots: readonly SnapshotRow[]): Promise<InstanceSnapshot[]> {
    const sizes = await this.volumes.sizes(this.specs.volumeKey(instance), snapshots.map(({ name }) => name));
    return snapshots.map((snapshot, index) => ({ ...this.api(instance, snapshot), size: sizes[index] ?? -1 }));
  }

  /** Fields in LXD's order. What a snapshot has not of its own is its instance's. */
  api(instance: ExpandedInstance, snapshot: SnapshotRow): InstanceSnapshot {
    const { row } = instance;
    const { expandedConfig, expandedDevices, profileNames } = this.catalog.expand({ ...row, config: snapshot.config, devices: snapshot.devices });
    return {
      expires_at: snapshot.expiresAt ?? zeroTime, architecture: row.architecture, config: snapshot.config, created_at: snapshot.createdAt,
      devices: snapshot.devices, ephemeral: row.ephemeral, expanded_config: expandedConfig, expanded_devices: expandedDevices, last_used_at: zeroTime,
      name: snapshot.name, profiles: profileNames, stateful: snapshot.stateful, size: -1,
    };
  }
}

function isShown({ state }: SnapshotRow): boolean {
  return state !== 'Creating';
}

/** What the ETag of a snapshot covers. */
export function etagOfSnapshot({ expiresAt }: SnapshotRow): unknown {
  return [expiresAt ?? zeroTime];
}
