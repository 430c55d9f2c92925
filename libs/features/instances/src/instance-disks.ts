import { Injectable } from '@nestjs/common';
import type { ConfigMap, DeviceMap } from '#api-types';
import { AppError, conflict, wrap } from '#kernel';
import type { DiskVolume } from '#ports';
import { Database, type Sql, type Tx } from '#platform/database';
import { ProjectsService } from '#features/projects';
import { AttachedVolumes, renamedDisks, VolumeUsage, type VolumeDisk, type VolumeKey, type VolumeUser } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceRepository } from './data/instance.repository.js';
import { hostName, instanceUrl } from './instance-urls.js';
import { PowerStates } from './power-states.js';

type VolumeName = Pick<VolumeKey, 'pool' | 'project' | 'name' | 'memberId'>;

/** Custom volumes that instances have as disks: which there are, who may have one, and what becomes of the devices when one is renamed. */
@Injectable()
export class InstanceDisks {
  /** Expanded instances never change. */
  private readonly known = new WeakMap<ExpandedInstance, [string, VolumeDisk][]>();

  constructor(
    private readonly database: Database,
    private readonly repository: InstanceRepository,
    private readonly catalog: InstanceCatalog,
    private readonly projects: ProjectsService,
    private readonly volumes: AttachedVolumes,
    private readonly usage: VolumeUsage,
    private readonly states: PowerStates,
  ) {}

  register(): void {
    this.usage.registerVolumeUsers((sql, volume) => this.usersOf(sql, volume));
    this.usage.registerFollower((tx, from, to) => this.follow(tx, from, to));
  }

  /** Refuses disks a change adds that the instance cannot have, in LXD's words. */
  checkAdded(sql: Sql, row: ExpandedInstance['row'], before: Readonly<DeviceMap>, after: Readonly<DeviceMap>): void {
    for (const [device, disk] of volumeDisks({ row, expandedDevices: after })) {
      if (JSON.stringify(before[device]) === JSON.stringify(after[device])) continue;
      try {
        this.volumes.check(sql, disk);
      } catch (error) {
        throw wrap(error, `Failed add validation for device "${device}"`);
      }
    }
  }

  /** What the host must know of the instance's volumes. One that is gone is not among them: the host says so when it comes to the device. */
  describe(instance: ExpandedInstance): DiskVolume[] {
    return volumeDisks(instance).flatMap(([device, disk]) => {
      try {
        const { volume, mapped } = this.volumes.get(disk);
        return [{ device, volume, mapped }];
      } catch (error) {
        if (AppError.is(error, 'not-found')) return [];
        throw error;
      }
    });
  }

  /**
   * Files have one set of ids: instances whose ids differ may not have a volume in common unless it says that they may.
   * @throws `conflict` in LXD's words; `only` limits it to disks that are about to be added.
   */
  refuseOtherMaps(instance: ExpandedInstance, only: (device: string) => boolean = () => true): void {
    for (const [device, disk] of volumeDisks(instance)) {
      if (!only(device) || this.isShared(disk)) continue;
      const key = this.keyOf(disk);
      const others = this.usingInstances(this.catalog.all(), key).filter(({ row }) => row.id !== instance.row.id);
      if (others.every((other) => idmapOf(other) === idmapOf(instance))) continue;
      throw conflict(`Failed to start device "${device}": Failed mounting volume: Failed shifting storage volume "${disk.source}" of type "custom" on storage pool "${disk.pool}": Idmaps of container and storage volume are not identical`);
    }
  }

  private isShared(disk: VolumeDisk): boolean {
    try {
      const { mapped, shared } = this.volumes.get(disk);
      return shared || !mapped;
    } catch (error) {
      if (AppError.is(error, 'not-found')) return true;
      throw error;
    }
  }

  private usersOf(sql: Sql, volume: VolumeName): VolumeUser[] {
    // Lists ask for every volume they show; only a decision needs what its transaction sees.
    const all = sql === this.database.read ? this.catalog.all() : this.repository.listAll(sql).map((row) => this.catalog.expand(row, sql));
    return this.usingInstances(all, volume).map(({ row }) => ({
      url: instanceUrl(row), direct: volumeDisks({ row, expandedDevices: row.devices }).some(([, disk]) => names(disk, volume)), running: this.states.isRunning(hostName(row)),
    }));
  }

  private follow(tx: Tx, from: VolumeKey, to: VolumeKey): void {
    for (const row of this.repository.listAll(tx.sql)) {
      if (row.memberId !== from.memberId || this.projects.volumeProject(row.project, tx.sql) !== from.project) continue;
      const devices = renamedDisks(row.devices, from, to);
      if (JSON.stringify(devices) !== JSON.stringify(row.devices)) this.repository.update(tx, row.id, { ...row, devices });
    }
  }

  private usingInstances(instances: readonly ExpandedInstance[], volume: VolumeName): ExpandedInstance[] {
    return instances.filter((instance) => this.disksOf(instance).some(([, disk]) => names(disk, volume)) && instance.row.memberId === volume.memberId
      && this.projects.volumeProject(instance.row.project) === volume.project);
  }

  private disksOf(instance: ExpandedInstance): readonly [string, VolumeDisk][] {
    let disks = this.known.get(instance);
    if (disks === undefined) this.known.set(instance, (disks = volumeDisks(instance)));
    return disks;
  }

  private keyOf({ pool, source, project, memberId }: VolumeDisk): VolumeName {
    return { pool, name: source, project: this.projects.volumeProject(project), memberId };
  }
}

/** Disk devices that name a custom volume, with their names. */
function volumeDisks({ row, expandedDevices }: Pick<ExpandedInstance, 'row' | 'expandedDevices'>): [string, VolumeDisk][] {
  return Object.entries(expandedDevices).flatMap(([name, { type, pool, source, path }]) =>
    (type === 'disk' && pool && source && path !== '/' ? [[name, { project: row.project, memberId: row.memberId, pool, source, path: path ?? '' }]] : []));
}

function names(disk: VolumeDisk, volume: VolumeName): boolean {
  return disk.pool === volume.pool && disk.source === volume.name;
}

function idmapOf({ expandedConfig }: { readonly expandedConfig: Readonly<ConfigMap> }): string {
  return expandedConfig['volatile.idmap.next'] ?? '[]';
}
