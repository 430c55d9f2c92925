import { VolumeSnapshots, type CopyVolumeRequest, type PoolSpec, type VolumeSpec } from '#ports';
import type { BtrfsVolumes } from './btrfs-volumes.js';

export interface BtrfsVolumeSnapshotsOptions {
  readonly volumes: BtrfsVolumes;
  /** Of the driver: the pool of what is asked for is ready after it. */
  readonly ensurePoolMounted: (pool: PoolSpec) => Promise<void>;
}

/** Snapshots on btrfs: read-only clones of the volume's subvolume, one ioctl each. Copies within a pool share their blocks. */
export class BtrfsVolumeSnapshots extends VolumeSnapshots {
  constructor(private readonly options: BtrfsVolumeSnapshotsOptions) { super(); }

  private get trees() { return this.options.volumes.snapshotTrees; }

  override createSnapshot(volume: VolumeSpec, snapshot: string): Promise<void> { return this.on(volume, () => this.trees.create(volume, snapshot)); }
  override destroySnapshot(volume: VolumeSpec, snapshot: string): Promise<void> { return this.on(volume, () => this.trees.destroy(volume, snapshot)); }

  override renameSnapshot(volume: VolumeSpec, snapshot: string, newName: string): Promise<void> {
    return this.on(volume, () => this.trees.rename(volume, snapshot, newName));
  }

  override listSnapshots(volume: VolumeSpec): Promise<string[]> { return this.on(volume, () => this.trees.list(volume)); }

  override async measureSnapshots(volume: VolumeSpec, snapshots: readonly string[]): Promise<number[]> {
    await this.options.ensurePoolMounted(volume.pool);
    return Promise.all(snapshots.map((snapshot) => this.options.volumes.snapshotBytes(volume, snapshot)));
  }

  override restoreSnapshot(volume: VolumeSpec, snapshot: string, token: string, keepApart: boolean): Promise<void> {
    return this.on(volume, () => this.trees.restore(volume, snapshot, token, keepApart));
  }

  override undoRestore(volume: VolumeSpec, token: string): Promise<void> { return this.on(volume, () => this.trees.undoRestore(volume, token)); }
  override finishRestore(volume: VolumeSpec, token: string): Promise<void> { return this.on(volume, () => this.trees.finishRestore(volume, token)); }
  override copyVolume(request: CopyVolumeRequest): Promise<void> { return this.on(request.target, () => this.trees.copy(request)); }
  override refreshVolume(request: CopyVolumeRequest, token: string): Promise<void> { return this.on(request.target, () => this.trees.refresh(request, token)); }

  private async on<T>(volume: VolumeSpec, work: () => Promise<T>): Promise<T> {
    await this.options.ensurePoolMounted(volume.pool);
    return this.options.volumes.lock(volume, work);
  }
}
