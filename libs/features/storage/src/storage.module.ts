import { Module, type OnModuleInit, type Type } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { ChangeFeed } from '#platform/database';
import { OperationRegistry, type OperationDefinition } from '#platform/operations';
import { ReconcileRunner } from '#platform/reconcile';
import { ClusterModule } from '#features/cluster';
import { ServerModule } from '#features/server';
import { ProjectsModule, ProjectUsage } from '#features/projects';
import { StoragePoolsController } from './api/storage-pools.controller.js';
import { StorageVolumesController } from './api/storage-volumes.controller.js';
import { VolumeBackupsController } from './api/volume-backups.controller.js';
import { VolumeSnapshotsController } from './api/volume-snapshots.controller.js';
import { BackupArchives } from './backups/backup-archives.service.js';
import { BackupFiles } from './backups/backup-files.js';
import { ClusterPools } from './cluster-pools.service.js';
import { AttachedVolumes } from './custom/attached-volumes.service.js';
import { VolumeBackupExpiryReconciler } from './custom/backups/volume-backup-expiry.reconciler.js';
import { customVolumeOperations, customVolumeProviders } from './custom/index.js';
import { VolumeSnapshotScheduleReconciler } from './custom/snapshots/volume-snapshot-schedule.reconciler.js';
import { VolumeSnapshotExpiryReconciler } from './custom/snapshots/volume-snapshot-expiry.reconciler.js';
import { CustomVolumeRoutes } from './custom/custom-volume-routes.js';
import { LostVolumes } from './custom/lost-volumes.service.js';
import { PoolsRepository } from './data/pools.repository.js';
import { VolumeSnapshotsRepository } from './data/volume-snapshots.repository.js';
import { VolumesRepository } from './data/volumes.repository.js';
import { VolumeMigrations } from './migration/volume-migrations.service.js';
import { PoolJoin } from './pool-join.participant.js';
import { PoolParts } from './pool-parts.service.js';
import { PoolUsers } from './pool-users.service.js';
import { PoolsService } from './pools.service.js';
import { PoolPartsReconciler } from './reconcile/pool-parts.reconciler.js';
import { ServerVolumes } from './server-volumes.service.js';
import { SnapshotVolumes } from './snapshot-volumes.service.js';
import { VolumeFetch } from './custom/copies/volume-fetch.service.js';
import { PieceCarrier } from './transfers/piece-carrier.js';
import { VolumeCarrier } from './transfers/volume-carrier.js';
import { VolumeChanges } from './volume-changes.service.js';
import { VolumeRequests } from './volume-requests.service.js';
import { VolumeSnapshotViews } from './volume-snapshot-views.service.js';
import { VolumeUsage } from './volume-usage.registry.js';
import { VolumesService } from './volumes.service.js';

/** The daemon calls `PoolsService.mountAll()` when the agent answers, before stored operations are resumed, and runs `PoolPartsReconciler` from then on. */
@Module({
  imports: [ClusterModule, ProjectsModule, ServerModule],
  controllers: [StoragePoolsController, StorageVolumesController, VolumeSnapshotsController, VolumeBackupsController],
  providers: [
    PoolsRepository, VolumesRepository, VolumeSnapshotsRepository, VolumeUsage, PoolUsers, PoolParts, ClusterPools, PoolsService, VolumesService, SnapshotVolumes, VolumeRequests, PoolPartsReconciler,
    PoolJoin, PieceCarrier, VolumeCarrier, VolumeMigrations, VolumeChanges, VolumeSnapshotViews, BackupArchives, BackupFiles, ServerVolumes, ...customVolumeProviders,
    ...new Set(customVolumeOperations.flatMap(({ steps }) => steps as unknown as Type[])),
  ],
  exports: [
    PoolsService, PoolParts, VolumesService, SnapshotVolumes, VolumeUsage, AttachedVolumes, VolumeCarrier, VolumeMigrations, BackupArchives, BackupFiles, ServerVolumes, LostVolumes,
    PoolPartsReconciler, VolumeSnapshotExpiryReconciler, VolumeSnapshotScheduleReconciler, VolumeBackupExpiryReconciler,
  ],
})
export class StorageModule implements OnModuleInit {
  constructor(
    private readonly feed: ChangeFeed,
    private readonly runner: ReconcileRunner,
    private readonly member: LocalMember,
    private readonly operations: OperationRegistry,
    private readonly routes: CustomVolumeRoutes,
    private readonly fetch: VolumeFetch,
    private readonly projects: ProjectUsage,
    private readonly users: PoolUsers,
    private readonly backups: BackupFiles,
    private readonly server: ServerVolumes,
  ) {}

  async onModuleInit(): Promise<void> {
    for (const definition of customVolumeOperations) this.operations.register(definition as OperationDefinition);
    this.routes.register();
    this.fetch.register();
    this.projects.register('volumes', (sql, project) => this.users.customVolumesOf(sql, project));
    const wake = (): void => void this.runner.signal('pool-parts');
    this.feed.subscribe(['storage_pools_nodes'], (changes) => {
      if (changes.some(({ op, key }) => op === 'insert' && key[1] === this.member.id && this.member.clustered)) wake();
    });
    this.feed.onReset(wake);
    this.server.register();
    await this.backups.removeImports();
  }
}
