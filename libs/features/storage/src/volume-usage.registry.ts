import { Injectable } from '@nestjs/common';
import type { Sql, Tx } from '#platform/database';
import type { VolumeKey } from './data/volumes.repository.js';

/** How the server itself is shown among those who use a volume. */
const serverUrl = '/1.0';

/** Somebody who uses a volume. The server itself (`/1.0`) may: it keeps images or backups in it. */
export interface VolumeUser {
  readonly url: string;
  /** By itself, not by way of a profile: what `used_by` shows. */
  readonly direct: boolean;
  readonly running: boolean;
}

type VolumeUsers = (sql: Sql, volume: VolumeKey) => VolumeUser[];
/** The volume has another name, or is in another pool, from now on: whoever names it follows, in the same transaction. */
type VolumeFollower = (tx: Tx, from: VolumeKey, to: VolumeKey) => void;

/**
 * Who uses volumes besides what storage knows itself (profiles). Higher features register functions; they are called inside transactions, and
 * those that answer must only read.
 */
@Injectable()
export class VolumeUsage {
  private readonly ofVolumes: VolumeUsers[] = [];
  private own: (volume: VolumeKey) => boolean = () => false;
  private readonly followers: VolumeFollower[] = [];

  registerVolumeUsers(users: VolumeUsers): void {
    this.ofVolumes.push(users);
  }

  /** Which volumes the server itself uses: known without a look at anybody else. */
  registerOwn(own: (volume: VolumeKey) => boolean): void {
    this.own = own;
  }

  registerFollower(follow: VolumeFollower): void {
    this.followers.push(follow);
  }

  volumeUsers(sql: Sql, volume: VolumeKey): VolumeUser[] {
    const others = this.ofVolumes.flatMap((users) => users(sql, volume));
    return this.own(volume) ? [{ url: serverUrl, direct: true, running: false }, ...others] : others;
  }

  /** Whether the server itself uses it. Asks none of the others, who look at all they have. */
  isOwn(volume: VolumeKey): boolean {
    return this.own(volume);
  }

  follow(tx: Tx, from: VolumeKey, to: VolumeKey): void {
    for (const follow of this.followers) follow(tx, from, to);
  }
}
