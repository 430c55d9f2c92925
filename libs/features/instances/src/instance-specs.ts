import { Injectable } from '@nestjs/common';
import type { InstanceSpec, NicNetwork, UsageRequest, VolumeSpec } from '#ports';
import { findRootDisk } from '#config-schema';
import { VolumesService, type InstanceVolumeKey } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceDisks } from './instance-disks.js';
import { InstanceNeighbors } from './instance-neighbors.js';
import { hostName } from './instance-urls.js';
import { nicNames } from './rules/expand.rules.js';
import { idmapFromText } from './rules/idmap.rules.js';

export interface RootDisk {
  readonly device: string;
  readonly pool: string;
  /** Empty for the pool's default. */
  readonly size: string;
}

/** Turns rows into what the host needs: complete in itself, so that the agent never asks back. */
@Injectable()
export class InstanceSpecs {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly volumes: VolumesService,
    private readonly neighbors: InstanceNeighbors,
    private readonly disks: InstanceDisks,
  ) {}

  build(instance: ExpandedInstance): InstanceSpec {
    const { row, expandedDevices } = instance;
    const config = this.catalog.fullConfig(instance);
    return {
      id: row.id, project: row.project, name: row.name, projectName: hostName(row), type: row.type, architecture: row.architecture,
      ephemeral: row.ephemeral, config,
      devices: Object.entries(expandedDevices).filter(([, device]) => device.type !== 'none').map(([name, device]) => this.neighbors.hostDevice(row.project, name, device)),
      nics: this.nics(instance),
      volumes: this.disks.describe(instance),
      rootVolume: this.rootVolume(instance),
      idmap: idmapFromText(config['volatile.idmap.next']),
      placementEpoch: row.placementEpoch,
    };
  }

  rootOf({ expandedDevices }: ExpandedInstance): RootDisk {
    const { name, config } = findRootDisk(expandedDevices);
    return { device: name, pool: config.pool ?? '', size: config.size ?? '' };
  }

  rootVolume(instance: ExpandedInstance): VolumeSpec {
    return this.volumes.volumeSpec(this.volumeKey(instance));
  }

  volumeKey(instance: ExpandedInstance): InstanceVolumeKey {
    const { row } = instance;
    return { pool: this.rootOf(instance).pool, project: row.project, name: row.name, type: row.type };
  }

  usageRequest(instance: ExpandedInstance): UsageRequest {
    return {
      projectName: hostName(instance.row), rootVolume: this.rootVolume(instance), rootDevice: this.rootOf(instance).device,
    };
  }

  private nics({ row, expandedDevices }: ExpandedInstance): NicNetwork[] {
    return nicNames(expandedDevices).map((name) => this.neighbors.nicNetwork(row.project, name, expandedDevices[name]!));
  }
}
