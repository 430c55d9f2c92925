import { Injectable } from '@nestjs/common';
import { AppError, Logger, messageOf } from '#kernel';
import { StorageDriver, VolumeSnapshots } from '#ports';
import { Database, type Tx } from '#platform/database';
import { VolumeSnapshotsRepository, type VolumeSnapshotRow } from './data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeRow } from './data/volumes.repository.js';
import { PoolsService } from './pools.service.js';
import { VolumesService, type InstanceVolumeKey } from './volumes.service.js';

export interface NewVolumeSnapshot {
  readonly name: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

/**
 * Snapshots of instance volumes, for the feature above: rows in the caller's transactions, host work for steps, each repeatable. A volume that is
 * not there has no snapshots and no row to change; its release has taken them.
 */
@Injectable()
export class SnapshotVolumes {
  constructor(
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
    private readonly rows: VolumeSnapshotsRepository,
    private readonly specs: VolumesService,
    private readonly pools: PoolsService,
    private readonly driver: VolumeSnapshots,
    private readonly storage: StorageDriver,
    private readonly logger: Logger,
  ) {}

  reserve(tx: Tx, key: InstanceVolumeKey, snapshot: NewVolumeSnapshot): void {
    this.rows.insert(tx, this.volumes.get(tx.sql, key).id, snapshot);
  }

  release(tx: Tx, key: InstanceVolumeKey, name: string): void {
    this.onVolume(tx, key, ({ id }) => this.rows.delete(tx, id, name));
  }

  renameRow(tx: Tx, key: InstanceVolumeKey, name: string, newName: string): void {
    this.onVolume(tx, key, ({ id }) => this.rows.rename(tx, id, name, newName));
  }

  /** Names, oldest first. */
  names(key: InstanceVolumeKey): string[] {
    return this.list(key).map(({ name }) => name);
  }

  /** Oldest first. */
  list(key: InstanceVolumeKey): VolumeSnapshotRow[] {
    const volume = this.volumes.find(this.database.read, key);
    return volume === undefined ? [] : this.rows.list(this.database.read, volume.id);
  }

  /** Rows of snapshots for a copy of a volume; all, or those named. */
  copyRows(tx: Tx, from: InstanceVolumeKey, to: InstanceVolumeKey, names: readonly string[] | null = null): void {
    const source = this.volumes.find(tx.sql, from);
    if (source === undefined) return;
    const { id } = this.volumes.get(tx.sql, to);
    for (const snapshot of this.rows.list(tx.sql, source.id)) if (names === null || names.includes(snapshot.name)) this.rows.insert(tx, id, snapshot);
  }

  /** Whether this host has the volume. */
  async isThere(key: InstanceVolumeKey): Promise<boolean> {
    try {
      await this.storage.describeVolume(this.specs.volumeSpec(key));
      return true;
    } catch (error) {
      if (AppError.is(error, 'not-found')) return false;
      throw error;
    }
  }

  /** On this host; `snapshot` instead of the present content where one is named, and snapshots that go along. */
  copy(request: { readonly from: InstanceVolumeKey; readonly snapshot: string; readonly to: InstanceVolumeKey; readonly snapshots: readonly string[]; readonly sizeBytes: number }): Promise<void> {
    const { from, snapshot, to, snapshots, sizeBytes } = request;
    return this.driver.copyVolume({ source: this.specs.volumeSpec(from), sourceSnapshot: snapshot, target: this.specs.volumeSpec(to), snapshots, sizeBytes });
  }

  /** On this host; the volume of `to` becomes what `from` is, under the token, as `VolumeSnapshots.refreshVolume` has it. */
  refresh(request: { readonly from: InstanceVolumeKey; readonly snapshot: string; readonly to: InstanceVolumeKey; readonly snapshots: readonly string[] }, token: string): Promise<void> {
    const { from, snapshot, to, snapshots } = request;
    return this.driver.refreshVolume({ source: this.specs.volumeSpec(from), sourceSnapshot: snapshot, target: this.specs.volumeSpec(to), snapshots, sizeBytes: 0 }, token);
  }

  /** Whether what runs on a volume of the pool must hold still while it is copied. */
  async freezesToCopy(pool: string): Promise<boolean> {
    return (await this.pools.capabilitiesOf(this.pools.spec(pool).driver))?.freezeToCopy === true;
  }

  /** Whether backups of the pool's volumes may hold its driver's own streams. */
  async hasOwnBackups(pool: string): Promise<boolean> {
    return (await this.pools.capabilitiesOf(this.pools.spec(pool).driver))?.ownBackups === true;
  }

  /** Whether somebody counts what volumes of the pool hold. False for one that is not usable now. */
  async hasQuotas(pool: string): Promise<boolean> {
    try {
      return (await this.pools.capabilitiesOf(this.pools.spec(pool).driver))?.quota === true;
    } catch (error) {
      if (AppError.is(error)) return false;
      throw error;
    }
  }

  /** Bytes each snapshot holds by itself; -1 where the pool does not count, or its host cannot say now: looking at snapshots must not fail for it. */
  async sizes(key: InstanceVolumeKey, names: readonly string[]): Promise<number[]> {
    const unknown = names.map(() => -1);
    if (names.length === 0) return unknown;
    try {
      const volume = this.specs.volumeSpec(key);
      if ((await this.pools.capabilitiesOf(volume.pool.driver))?.quota !== true) return unknown;
      return await this.driver.measureSnapshots(volume, names);
    } catch (error) {
      this.logger.warn('Failed to measure snapshots', { pool: key.pool, volume: key.name, error: messageOf(error) });
      return unknown;
    }
  }

  create(key: InstanceVolumeKey, name: string): Promise<void> { return this.driver.createSnapshot(this.specs.volumeSpec(key), name); }
  destroy(key: InstanceVolumeKey, name: string): Promise<void> { return this.driver.destroySnapshot(this.specs.volumeSpec(key), name); }
  rename(key: InstanceVolumeKey, name: string, newName: string): Promise<void> { return this.driver.renameSnapshot(this.specs.volumeSpec(key), name, newName); }
  restore(key: InstanceVolumeKey, name: string, token: string, keepApart: boolean): Promise<void> {
    return this.driver.restoreSnapshot(this.specs.volumeSpec(key), name, token, keepApart);
  }

  undoRestore(key: InstanceVolumeKey, token: string): Promise<void> { return this.driver.undoRestore(this.specs.volumeSpec(key), token); }
  finishRestore(key: InstanceVolumeKey, token: string): Promise<void> { return this.driver.finishRestore(this.specs.volumeSpec(key), token); }

  private onVolume(tx: Tx, key: InstanceVolumeKey, work: (volume: VolumeRow) => void): void {
    const volume = this.volumes.find(tx.sql, key);
    if (volume !== undefined) work(volume);
  }
}
