import { Injectable } from '@nestjs/common';
import type { Sql } from '#platform/database';
import type { VolumeKey } from './data/volumes.repository.js';

type PoolUsers = (sql: Sql, pool: string) => string[];
type VolumeUsers = (sql: Sql, volume: VolumeKey) => string[];

/**
 * Who uses pools and volumes besides what storage knows itself (instances by their root volumes, images, profiles). Higher features
 * register functions that answer with URLs; they are called inside transactions and must only read.
 */
@Injectable()
export class VolumeUsage {
  private readonly ofPools: PoolUsers[] = [];
  private readonly ofVolumes: VolumeUsers[] = [];

  registerPoolUsers(users: PoolUsers): void {
    this.ofPools.push(users);
  }

  registerVolumeUsers(users: VolumeUsers): void {
    this.ofVolumes.push(users);
  }

  poolUsers(sql: Sql, pool: string): string[] {
    return this.ofPools.flatMap((users) => users(sql, pool));
  }

  volumeUsers(sql: Sql, volume: VolumeKey): string[] {
    return this.ofVolumes.flatMap((users) => users(sql, volume));
  }
}
