import { Module, type OnModuleInit, type Type } from '@nestjs/common';
import { OperationRegistry, type OperationDefinition } from '#platform/operations';
import { ClusterModule } from '#features/cluster';
import { ImagesModule } from '#features/images';
import { NetworksModule } from '#features/networks';
import { ProfilesModule } from '#features/profiles';
import { ProjectsModule } from '#features/projects';
import { StorageModule } from '#features/storage';
import { InstanceController } from './api/instance.controller.js';
import { InstanceMetadataController } from './api/instance-metadata.controller.js';
import { InstanceFilesController } from './api/instance-files.controller.js';
import { InstanceExecController } from './api/instance-exec.controller.js';
import { InstanceLogsController } from './api/instance-logs.controller.js';
import { InstanceStateController } from './api/instance-state.controller.js';
import { InstancesController } from './api/instances.controller.js';
import { MetricsController } from './api/metrics.controller.js';
import { InstanceCatalog } from './data/instance.catalog.js';
import { InstanceRepository } from './data/instance.repository.js';
import { MemberVolatileStore } from './data/member-volatile.store.js';
import { InstanceConsole } from './exec/instance-console.service.js';
import { InstanceExec } from './exec/instance-exec.service.js';
import { templateProviders } from './templates/index.js';
import { fileProviders } from './files/index.js';
import { InstanceSftp } from './files/instance-sftp.service.js';
import { InstanceChangeParts } from './instance-change-parts.js';
import { InstanceCreation } from './instance-creation.service.js';
import { InstanceDisks } from './instance-disks.js';
import { InstanceHostEvents } from './instance-host-events.service.js';
import { InstanceHostPower } from './instance-host-power.js';
import { InstanceLifecycleEvents } from './instance-lifecycle-events.js';
import { InstanceLocks } from './instance-locks.js';
import { InstanceLogFiles } from './instance-logs.service.js';
import { InstanceMetrics } from './instance-metrics.service.js';
import { InstanceNeighbors } from './instance-neighbors.js';
import { InstancePower } from './instance-power.service.js';
import { InstanceProfiles } from './instance-profiles.service.js';
import { InstanceRemoval } from './instance-removal.service.js';
import { InstanceRows } from './instance-rows.service.js';
import { InstanceSpecs } from './instance-specs.js';
import { InstanceStateChanges } from './instance-state.service.js';
import { InstanceUpdate } from './instance-update.service.js';
import { InstanceUsage } from './instance-usage.service.js';
import { InstancesLifecycle } from './instances-lifecycle.service.js';
import { InstancesService } from './instances.service.js';
import { createAndStartInstance, createInstance } from './operations/create-instance.operation.js';
import { rebuildControllers, rebuildOperations, rebuildProviders } from './rebuilds/index.js';
import { deleteInstance } from './operations/delete-instance.operation.js';
import { renameInstance } from './operations/rename-instance.operation.js';
import { updateInstance } from './operations/update-instance.operation.js';
import { memberProviders } from './members/index.js';
import { InstancePeers } from './members/instance-peers.js';
import { GuestApi, guestProviders } from './guests/index.js';
import { copyOperations, copyProviders } from './copies/index.js';
import { backupControllers, backupOperations, backupProviders } from './backups/index.js';
import { BackupYaml } from './backups/backup-yaml.service.js';
import { recoveryControllers, recoveryOperations, recoveryProviders } from './recovery/index.js';
import { migrationOperations, migrationProviders } from './migrations/index.js';
import { moveOperations, moveProviders } from './moves/index.js';
import { savedStateProviders } from './saved-states/index.js';
import { publishProviders } from './publish/index.js';
import { InstancePublishing } from './publish/instance-publishing.service.js';
import { MemberMoves } from './moves/member-moves.service.js';
import { VolumeSource } from './transfers/volume-source.service.js';
import { snapshotControllers, snapshotOperations, snapshotProviders } from './snapshots/index.js';
import { PowerStates } from './power-states.js';
import { SnapshotScheduleReconciler } from './reconcile/snapshot-schedule.reconciler.js';
import { SnapshotExpiryReconciler } from './reconcile/snapshot-expiry.reconciler.js';
import { InstancesReconciler } from './reconcile/instances.reconciler.js';

const operations = [createInstance, createAndStartInstance, deleteInstance, renameInstance, updateInstance, ...snapshotOperations, ...moveOperations, ...copyOperations, ...migrationOperations, ...rebuildOperations, ...backupOperations, ...recoveryOperations] as const;

/** The daemon calls `InstancesLifecycle.startUp()` and `shutdownAll()`, and runs `InstancesReconciler` in between. */
@Module({
  imports: [ClusterModule, ProjectsModule, ProfilesModule, StorageModule, NetworksModule, ImagesModule],
  controllers: [
    InstancesController, InstanceController, InstanceStateController, InstanceExecController, InstanceLogsController, InstanceFilesController, InstanceMetadataController, MetricsController,
    ...snapshotControllers, ...backupControllers, ...recoveryControllers, ...rebuildControllers,
  ],
  providers: [
    ...rebuildProviders,
    ...memberProviders, ...snapshotProviders, ...moveProviders, ...copyProviders, ...migrationProviders, ...savedStateProviders, ...publishProviders, ...backupProviders, ...recoveryProviders, ...guestProviders, ...fileProviders, ...templateProviders,
    InstanceRepository, MemberVolatileStore, InstanceCatalog, InstanceNeighbors, InstanceDisks, InstanceSpecs, InstanceRows, InstanceLocks, PowerStates,
    InstanceLifecycleEvents, InstanceRemoval, InstanceHostPower, InstancePower, InstanceHostEvents, InstanceStateChanges, InstanceCreation, InstanceUpdate, InstanceUsage, InstanceChangeParts, InstanceProfiles,
    InstanceLogFiles, InstanceExec, InstanceConsole, InstanceMetrics, InstancesService, InstancesReconciler, InstancesLifecycle, ...new Set(operations.flatMap(({ steps }) => steps as unknown as Type[])),
  ],
  exports: [GuestApi, InstancesLifecycle, InstancesReconciler, SnapshotExpiryReconciler, SnapshotScheduleReconciler],
})
export class InstancesModule implements OnModuleInit {
  constructor(
    private readonly registry: OperationRegistry,
    private readonly usage: InstanceUsage,
    private readonly disks: InstanceDisks,
    private readonly profiles: InstanceProfiles,
    private readonly peers: InstancePeers,
    private readonly moves: MemberMoves,
    private readonly source: VolumeSource,
    private readonly publishing: InstancePublishing,
    private readonly backupYaml: BackupYaml,
    private readonly sftp: InstanceSftp,
  ) {}

  onModuleInit(): void {
    for (const definition of operations) this.registry.register(definition as OperationDefinition);
    this.usage.register();
    this.disks.register();
    this.profiles.register();
    this.peers.register();
    this.moves.register();
    this.source.register();
    this.publishing.register();
    this.backupYaml.register();
    this.sftp.register();
  }
}
