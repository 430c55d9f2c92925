export { StorageModule } from './storage.module.js';
export { PoolsService } from './pools.service.js';
export { SnapshotVolumes, type NewVolumeSnapshot } from './snapshot-volumes.service.js';
export { PoolParts } from './pool-parts.service.js';
export { PoolPartsReconciler } from './reconcile/pool-parts.reconciler.js';
export { VolumesService, type CreateInstanceVolume, type InstanceVolumeKey } from './volumes.service.js';
export { VolumeUsage } from './volume-usage.registry.js';
export type { PoolRow } from './data/pools.repository.js';
export type { VolumeKey, VolumeRow } from './data/volumes.repository.js';
