export { InstancesModule } from './instances.module.js';
export { GuestApi } from './guests/index.js';
export { InstancesLifecycle } from './instances-lifecycle.service.js';
export { SnapshotScheduleReconciler } from './reconcile/snapshot-schedule.reconciler.js';
export { BackupExpiryReconciler } from './reconcile/backup-expiry.reconciler.js';
export { BackupYamlReconciler } from './reconcile/backup-yaml.reconciler.js';
export { SnapshotExpiryReconciler } from './reconcile/snapshot-expiry.reconciler.js';
export { InstancesReconciler } from './reconcile/instances.reconciler.js';
export { InstanceMoves, type MoveWatch } from './instance-moves.js';
