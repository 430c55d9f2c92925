import { InstanceSnapshotsController } from '../api/instance-snapshots.controller.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { SnapshotExpiryReconciler } from '../reconcile/snapshot-expiry.reconciler.js';
import { SnapshotScheduleReconciler } from '../reconcile/snapshot-schedule.reconciler.js';
import { createSnapshot } from './create-snapshot.operation.js';
import { deleteSnapshot } from './delete-snapshot.operation.js';
import { InstanceSnapshots } from './instance-snapshots.service.js';
import { renameSnapshot } from './rename-snapshot.operation.js';
import { restoreSnapshot } from './restore-snapshot.operation.js';
import { SnapshotRequests } from './snapshot-requests.service.js';
import { StartupSnapshots } from './startup-snapshots.js';

/** What the module of instances takes up for snapshots. */
export const snapshotControllers = [InstanceSnapshotsController];
export const snapshotProviders = [InstanceSnapshotRepository, InstanceSnapshots, SnapshotRequests, StartupSnapshots, SnapshotExpiryReconciler, SnapshotScheduleReconciler];
export const snapshotOperations = [createSnapshot, deleteSnapshot, renameSnapshot, restoreSnapshot] as const;
