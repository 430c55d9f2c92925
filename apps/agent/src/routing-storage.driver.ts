import { invalid } from '#kernel';
import {
  StorageDriver,
  type CreateVolumeRequest, type PoolResources, type PoolSpec, type StorageCapabilities, type VolumeSpec, type VolumeUsage,
} from '#ports';

/** One storage port over all drivers: each call goes to the driver its pool names. */
export class RoutingStorageDriver extends StorageDriver {
  constructor(private readonly drivers: ReadonlyMap<string, StorageDriver>) { super(); }

  override async capabilities(): Promise<StorageCapabilities[]> {
    return (await Promise.all([...this.drivers.values()].map((driver) => driver.capabilities()))).flat();
  }

  override createPool(pool: PoolSpec): Promise<PoolSpec> { return this.of(pool).createPool(pool); }
  override destroyPool(pool: PoolSpec): Promise<void> { return this.of(pool).destroyPool(pool); }
  override ensurePoolMounted(pool: PoolSpec): Promise<void> { return this.of(pool).ensurePoolMounted(pool); }
  override unmountPool(pool: PoolSpec): Promise<void> { return this.of(pool).unmountPool(pool); }
  override updatePool(pool: PoolSpec, changed: Readonly<Record<string, string>>): Promise<void> { return this.of(pool).updatePool(pool, changed); }
  override describePool(pool: PoolSpec): Promise<PoolResources> { return this.of(pool).describePool(pool); }
  override createVolume(request: CreateVolumeRequest): Promise<void> { return this.of(request.volume.pool).createVolume(request); }
  override destroyVolume(volume: VolumeSpec): Promise<void> { return this.of(volume.pool).destroyVolume(volume); }
  override renameVolume(volume: VolumeSpec, newName: string): Promise<void> { return this.of(volume.pool).renameVolume(volume, newName); }
  override resizeVolume(volume: VolumeSpec, sizeBytes: number): Promise<void> { return this.of(volume.pool).resizeVolume(volume, sizeBytes); }
  override describeVolume(volume: VolumeSpec): Promise<VolumeUsage> { return this.of(volume.pool).describeVolume(volume); }
  override listVolumes(pool: PoolSpec, kind?: VolumeSpec['kind']): Promise<VolumeSpec[]> { return this.of(pool).listVolumes(pool, kind); }

  private of(pool: PoolSpec): StorageDriver {
    const driver = this.drivers.get(pool.driver);
    if (!driver) throw invalid(`Unknown storage driver "${pool.driver}"`);
    return driver;
  }
}
