import { Injectable } from '@nestjs/common';
import type { DeviceMap } from '#api-types';
import { isRootDisk } from '#config-schema';
import { defaultProject, internal } from '#kernel';
import { ProfilesService } from '#features/profiles';
import { PoolsService } from '#features/storage';

/** The root disk of an instance from another server, whose pools need not be ours: where it names one that is not here it goes where its profiles would have it, or to the only pool there is. */
@Injectable()
export class ArrivingRoot {
  constructor(
    private readonly pools: PoolsService,
    private readonly profiles: ProfilesService,
  ) {}

  /** @throws `internal` in LXD's words where no pool can be chosen. */
  devices(project: string, own: Readonly<DeviceMap>, profiles: readonly string[] | null): DeviceMap {
    const name = Object.keys(own).find((one) => isRootDisk(own[one]!));
    if (name !== undefined && this.pools.has(own[name]!.pool ?? '')) return { ...own };
    const ofProfiles = this.poolOf(project, profiles ?? [defaultProject]);
    if (name === undefined && ofProfiles !== '') return { ...own };
    const known = this.pools.list();
    const pool = ofProfiles || (known.length === 1 ? known[0]!.name : '');
    if (pool === '') throw internal("Can't find a storage pool for the instance to use");
    return name === undefined ? { ...own, root: { type: 'disk', path: '/', pool } } : { ...own, [name]: { ...own[name], pool } };
  }

  private poolOf(project: string, profiles: readonly string[]): string {
    const roots = profiles.flatMap((profile) => Object.values(this.profiles.get(project, profile).devices).filter(isRootDisk));
    return roots.at(-1)?.pool ?? '';
  }
}
