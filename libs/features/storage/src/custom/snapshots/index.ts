import { createVolumeSnapshot } from './create-volume-snapshot.operation.js';
import { deleteVolumeSnapshot } from './delete-volume-snapshot.operation.js';
import { renameVolumeSnapshot } from './rename-volume-snapshot.operation.js';
import { restoreVolume } from './restore-volume.operation.js';
import { VolumeSnapshotExpiryReconciler } from './volume-snapshot-expiry.reconciler.js';
import { VolumeSnapshotScheduleReconciler } from './volume-snapshot-schedule.reconciler.js';
import { VolumeSnapshotRequests } from './volume-snapshot-requests.service.js';

/** What the module of storage takes up for snapshots of custom volumes. */
export const volumeSnapshotProviders = [VolumeSnapshotRequests, VolumeSnapshotExpiryReconciler, VolumeSnapshotScheduleReconciler];
export const volumeSnapshotOperations = [createVolumeSnapshot, deleteVolumeSnapshot, renameVolumeSnapshot, restoreVolume] as const;
