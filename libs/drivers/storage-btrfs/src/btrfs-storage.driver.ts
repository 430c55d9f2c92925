import { invalid, KeyedMutex, type Logger, type StateDirectory } from '#kernel';
import type { CommandRunner } from '#host';
import {
  StorageDriver,
  type CreateVolumeRequest, type PoolResources, type PoolSpec, type StorageCapabilities, type VolumeSpec, type VolumeUsage,
} from '#ports';
import { BtrfsPools } from './btrfs-pools.js';
import { BtrfsVolumeSnapshots } from './btrfs-volume-snapshots.js';
import { BtrfsVolumeStreams } from './btrfs-volume-streams.js';
import { BtrfsVolumes } from './btrfs-volumes.js';

export interface BtrfsStorageOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly logger: Logger;
}

/**
 * Pools on btrfs: a sparse loop file, a block device, or a subvolume of a file system that is there already. Images are unpacked once
 * and snapshotted, `size` is a quota group's limit. Volumes are made by ioctls, without starting a process.
 */
export class BtrfsStorageDriver extends StorageDriver {
  readonly snapshots: BtrfsVolumeSnapshots;
  readonly streams: BtrfsVolumeStreams;
  private readonly pools: BtrfsPools;
  private readonly volumes: BtrfsVolumes;
  private readonly locks = new KeyedMutex();

  constructor(options: BtrfsStorageOptions) {
    super();
    this.pools = new BtrfsPools(options);
    this.volumes = new BtrfsVolumes({ ...options, subvolumes: this.pools.subvolumes });
    this.snapshots = new BtrfsVolumeSnapshots({
      volumes: this.volumes, ensurePoolMounted: (pool) => this.ensurePoolMounted(pool),
    });
    this.streams = new BtrfsVolumeStreams({
      ...options, subvolumes: this.pools.subvolumes, volumes: this.volumes, ensurePoolMounted: (pool) => this.ensurePoolMounted(pool),
    });
  }

  override async capabilities(): Promise<StorageCapabilities[]> {
    const version = await this.pools.tools.version();
    return version === undefined ? [] : [{ driver: 'btrfs', version, remote: false, quota: true, optimizedImages: true, freezeToCopy: false, ownBackups: true }];
  }

  override createPool(pool: PoolSpec): Promise<PoolSpec> {
    return this.locks.run(pool.name, () => this.pools.create(pool));
  }

  override destroyPool(pool: PoolSpec): Promise<void> {
    return this.locks.run(pool.name, () => this.pools.destroy(pool));
  }

  override ensurePoolMounted(pool: PoolSpec): Promise<void> {
    return this.locks.run(pool.name, () => this.pools.makeReady(pool));
  }

  override unmountPool(pool: PoolSpec): Promise<void> {
    return this.locks.run(pool.name, () => this.pools.unmount(pool));
  }

  override updatePool(pool: PoolSpec, changed: Readonly<Record<string, string>>): Promise<void> {
    return this.locks.run(pool.name, () => this.pools.update(pool, changed));
  }

  override describePool(pool: PoolSpec): Promise<PoolResources> {
    return this.locks.run(pool.name, () => this.pools.describe(pool));
  }

  override async createVolume(request: CreateVolumeRequest): Promise<void> {
    if (request.volume.kind === 'virtual-machine') throw invalid('Virtual machines are not supported on this host');
    await this.ensurePoolMounted(request.volume.pool);
    await this.volumes.create(request);
  }

  override async destroyVolume(volume: VolumeSpec): Promise<void> {
    await this.ensurePoolMounted(volume.pool);
    await this.volumes.destroy(volume);
  }

  override async renameVolume(volume: VolumeSpec, newName: string): Promise<void> {
    await this.ensurePoolMounted(volume.pool);
    await this.volumes.rename(volume, newName);
  }

  override async resizeVolume(volume: VolumeSpec, sizeBytes: number): Promise<void> {
    await this.ensurePoolMounted(volume.pool);
    await this.volumes.resize(volume, sizeBytes);
  }

  override async describeVolume(volume: VolumeSpec): Promise<VolumeUsage> {
    await this.ensurePoolMounted(volume.pool);
    return this.volumes.describe(volume);
  }

  override async listVolumes(pool: PoolSpec, kind?: VolumeSpec['kind']): Promise<VolumeSpec[]> {
    await this.ensurePoolMounted(pool);
    return this.volumes.list(pool, kind);
  }
}
