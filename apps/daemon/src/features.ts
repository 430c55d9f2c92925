import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { ReconcileRunner } from '#platform/reconcile';
import { CertificatesModule } from '#features/auth';
import { ClusterMembersReconciler, ClusterModule, DatabaseCopiesReconciler, LocalMembership } from '#features/cluster';
import { EventsModule } from '#features/events';
import { ImagesModule } from '#features/images';
import { BackupExpiryReconciler, BackupYamlReconciler, GuestApi, InstancesLifecycle, InstancesModule, InstancesReconciler, SnapshotExpiryReconciler, SnapshotScheduleReconciler } from '#features/instances';
import { NetworksModule, NetworksReconciler, NetworksService } from '#features/networks';
import { OperationsApiModule } from '#features/operations';
import { ProfilesModule } from '#features/profiles';
import { ProjectsModule } from '#features/projects';
import { DaemonControl, ServerModule } from '#features/server';
import { PoolPartsReconciler, PoolsService, ServerVolumes, StorageModule, VolumeBackupExpiryReconciler, VolumeSnapshotExpiryReconciler, VolumeSnapshotScheduleReconciler } from '#features/storage';
import { WarningsModule } from '#features/warnings';

/** The nouns of the API this daemon serves. */
export function featureModules(): (Type | DynamicModule)[] {
  return [
    CertificatesModule, ClusterModule, EventsModule, ImagesModule, InstancesModule, NetworksModule, OperationsApiModule, ProfilesModule, ProjectsModule, ServerModule,
    StorageModule, WarningsModule,
  ];
}

/** `shutdown --force` waits for no instance, milliseconds. */
const forcedShutdownMs = 1;

/** First period of reconcilers whose work was just done by hand, milliseconds. */
const afterStartMs = 10_000;

/**
 * Early start work, in the order things depend on each other. What a former process left half done is finished or undone before anything new
 * is started; the daemon is ready when every instance that should run was tried.
 */
export async function startFeatures(app: INestApplication, requestShutdown: (force: boolean) => Promise<void>, recover: () => Promise<void>): Promise<void> {
  const control = app.get(DaemonControl);
  control.onShutdown(requestShutdown);
  const membership = app.get(LocalMembership);
  await membership.startUp();
  await Promise.all([app.get(PoolsService).mountAll(), app.get(NetworksService).ensureAll()]);
  await app.get(ServerVolumes).settle();
  await membership.finishJoin();
  await app.get(GuestApi).listen();
  await recover();
  await app.get(InstancesLifecycle).startUp();
  const reconcilers = app.get(ReconcileRunner);
  reconcilers.add(app.get(ClusterMembersReconciler), { firstMs: afterStartMs });
  reconcilers.add(app.get(DatabaseCopiesReconciler), { firstMs: 5 * 60_000 });
  reconcilers.add(app.get(NetworksReconciler), { firstMs: afterStartMs });
  reconcilers.add(app.get(PoolPartsReconciler), { firstMs: 6 * afterStartMs });
  const instances = app.get(InstancesReconciler);
  reconcilers.add(instances, { firstMs: instances.periodMs });
  reconcilers.add(app.get(SnapshotExpiryReconciler), { firstMs: 6 * afterStartMs });
  reconcilers.add(app.get(SnapshotScheduleReconciler), { firstMs: afterStartMs });
  reconcilers.add(app.get(BackupExpiryReconciler), { firstMs: 6 * afterStartMs });
  reconcilers.add(app.get(BackupYamlReconciler), { firstMs: 6 * afterStartMs });
  reconcilers.add(app.get(VolumeBackupExpiryReconciler), { firstMs: 6 * afterStartMs });
  reconcilers.add(app.get(VolumeSnapshotExpiryReconciler), { firstMs: 6 * afterStartMs });
  reconcilers.add(app.get(VolumeSnapshotScheduleReconciler), { firstMs: afterStartMs });
  control.markReady();
}

/** For a clean shutdown: instances first, then the networks they used. Without `force`, each has its own time to end in. */
export async function stopInstances(app: INestApplication, _ctx: RequestContext, force: boolean): Promise<void> {
  await app.get(InstancesLifecycle).shutdownAll(force ? forcedShutdownMs : 0);
  await app.get(NetworksService).stopAll();
}
