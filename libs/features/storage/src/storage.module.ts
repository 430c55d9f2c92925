import { Module } from '@nestjs/common';
import { StoragePoolsController } from './api/storage-pools.controller.js';
import { StorageVolumesController } from './api/storage-volumes.controller.js';
import { PoolsRepository } from './data/pools.repository.js';
import { VolumeSnapshotsRepository } from './data/volume-snapshots.repository.js';
import { VolumesRepository } from './data/volumes.repository.js';
import { PoolUsers } from './pool-users.service.js';
import { PoolsService } from './pools.service.js';
import { SnapshotVolumes } from './snapshot-volumes.service.js';
import { VolumeRequests } from './volume-requests.service.js';
import { VolumeUsage } from './volume-usage.registry.js';
import { VolumesService } from './volumes.service.js';

/** The daemon calls `PoolsService.mountAll()` when the agent answers, before stored operations are resumed. */
@Module({
  controllers: [StoragePoolsController, StorageVolumesController],
  providers: [PoolsRepository, VolumesRepository, VolumeSnapshotsRepository, VolumeUsage, PoolUsers, PoolsService, VolumesService, SnapshotVolumes, VolumeRequests],
  exports: [PoolsService, VolumesService, SnapshotVolumes, VolumeUsage],
})
export class StorageModule {}
