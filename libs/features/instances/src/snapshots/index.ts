import { InstanceSnapshotsController } from '../api/instance-snapshots.controller.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { SnapshotExpiryReconciler } from '../reconcile/snapshot-expiry.reconciler.js';
import { createSnapshot } from './create-snapshot.operation.js';
import { deleteSnapshot } from './delete-snapshot.operation.js';
import { InstanceSnapshots } from './instance-snapshots.service.js';
import { renameSnapshot } from './rename-snapshot.operation.js';
import { restoreSnapshot } from './restore-snapshot.operation.js';
import { SnapshotRequests } from './snapshot-requests.service.js';

/** What the module of instances takes up for snapshots. */
export const snapshotControllers = [InstanceSnapshotsController];
export const snapshotProviders = [InstanceSnapshotRepository, InstanceSnapshots, SnapshotRequests, SnapshotExpiryReconciler];
export const snapshotOperations = [createSnapshot, deleteSnapshot, renameSnapshot, restoreSnapshot] as const;
