import { Injectable } from '@nestjs/common';
import { conflict, invalid } from '#kernel';
import { apiUrl } from '#platform/http';
import type { Sql, Tx } from '#platform/database';
import { ProjectsService } from '#features/projects';
import { VolumesRepository, type VolumeKey } from '../data/volumes.repository.js';
import { ownerUrl } from '../pool-users.service.js';
import { VolumeUsage } from '../volume-usage.registry.js';

type Devices = Record<string, Record<string, string>>;

/** Who uses a volume: its instance or image, or the instances and profiles with a disk device that names a custom one. */
@Injectable()
export class VolumeUsers {
  constructor(
    private readonly volumes: VolumesRepository,
    private readonly usage: VolumeUsage,
    private readonly projects: ProjectsService,
  ) {}

  /** URLs for `used_by`: an instance that has the volume from a profile is not among them, the profile is. */
  shown(sql: Sql, volume: VolumeKey): string[] {
    if (volume.type !== 'custom') return [ownerUrl(volume)];
    const instances = this.usage.volumeUsers(sql, volume).filter(({ direct }) => direct).map(({ url }) => url);
    return [...new Set([...instances, ...this.profiles(sql, volume).map(({ project, name }) => apiUrl(['1.0', 'profiles', name], project))])].sort();
  }

  isUsed(sql: Sql, volume: VolumeKey): boolean {
    return this.usage.volumeUsers(sql, volume).length > 0 || this.profiles(sql, volume).length > 0;
  }

  /** @throws `invalid` in LXD's words where anybody does. */
  refuseUsed(sql: Sql, volume: VolumeKey): void {
    if (this.isUsed(sql, volume)) throw invalid('The storage volume is still in use');
  }

  /** @throws `conflict` with this text where a running instance does. */
  refuseRunning(sql: Sql, volume: VolumeKey, message: string): void {
    if (this.usage.volumeUsers(sql, volume).some(({ running }) => running)) throw conflict(message);
  }

  /** @throws `invalid` with this text where the server itself does. */
  refuseOwn(volume: VolumeKey, message: string): void {
    if (this.usage.isOwn(volume)) throw invalid(message);
  }

  /** Devices that name the volume name it by its new name, or pool, from now on. */
  follow(tx: Tx, from: VolumeKey, to: VolumeKey): void {
    for (const { id, devices } of this.profiles(tx.sql, from)) this.volumes.setProfileDevices(tx, id, JSON.stringify(renamedDisks(JSON.parse(devices) as Devices, from, to)));
    this.usage.follow(tx, from, to);
  }

  private profiles(sql: Sql, { pool, name, project }: VolumeKey) {
    return this.volumes.profilesWithVolume(sql, pool, name).filter((profile) => this.projects.volumeProject(profile.project, sql) === project);
  }
}

/** Devices in which every disk of the one volume is one of the other. */
export function renamedDisks<D extends Readonly<Record<string, Readonly<Record<string, string>>>>>(devices: D, from: Pick<VolumeKey, 'pool' | 'name'>, to: Pick<VolumeKey, 'pool' | 'name'>): D {
  return Object.fromEntries(Object.entries(devices).map(([name, device]) =>
    [name, device['type'] === 'disk' && device['pool'] === from.pool && device['source'] === from.name ? { ...device, pool: to.pool, source: to.name } : device])) as unknown as D;
}
