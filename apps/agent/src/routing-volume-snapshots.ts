import { invalid } from '#kernel';
import { VolumeSnapshots, type CopyVolumeRequest, type PoolSpec, type StorageDriver, type VolumeSpec } from '#ports';

/** One snapshots port over all drivers: each call goes to the driver its pool names, copies to the one they are made by. */
export class RoutingVolumeSnapshots extends VolumeSnapshots {
  constructor(private readonly drivers: ReadonlyMap<string, VolumeSnapshots>, private readonly storage: StorageDriver) { super(); }

  override createSnapshot(volume: VolumeSpec, snapshot: string): Promise<void> { return this.of(volume.pool).createSnapshot(volume, snapshot); }
  override destroySnapshot(volume: VolumeSpec, snapshot: string): Promise<void> { return this.of(volume.pool).destroySnapshot(volume, snapshot); }
  override renameSnapshot(volume: VolumeSpec, snapshot: string, newName: string): Promise<void> { return this.of(volume.pool).renameSnapshot(volume, snapshot, newName); }
  override listSnapshots(volume: VolumeSpec): Promise<string[]> { return this.of(volume.pool).listSnapshots(volume); }
  override measureSnapshots(volume: VolumeSpec, snapshots: readonly string[]): Promise<number[]> { return this.of(volume.pool).measureSnapshots(volume, snapshots); }
  override restoreSnapshot(volume: VolumeSpec, snapshot: string, token: string, keepApart: boolean): Promise<void> {
    return this.of(volume.pool).restoreSnapshot(volume, snapshot, token, keepApart);
  }

  override undoRestore(volume: VolumeSpec, token: string): Promise<void> { return this.of(volume.pool).undoRestore(volume, token); }
  override finishRestore(volume: VolumeSpec, token: string): Promise<void> { return this.of(volume.pool).finishRestore(volume, token); }

  override async copyVolume(request: CopyVolumeRequest): Promise<void> {
    // The other driver mounts its own pool; who copies reads from where it is mounted.
    await this.storage.ensurePoolMounted(request.source.pool);
    await this.of(request.target.pool).copyVolume(request);
  }

  override async refreshVolume(request: CopyVolumeRequest, token: string): Promise<void> {
    await this.storage.ensurePoolMounted(request.source.pool);
    await this.of(request.target.pool).refreshVolume(request, token);
  }

  private of(pool: PoolSpec): VolumeSnapshots {
    const driver = this.drivers.get(pool.driver);
    if (!driver) throw invalid(`Unknown storage driver "${pool.driver}"`);
    return driver;
  }
}
