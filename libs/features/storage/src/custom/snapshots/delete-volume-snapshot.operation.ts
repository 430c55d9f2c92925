import { defineOperation } from '#platform/operations';
import { volumeConflictKey } from '../volume-operation.params.js';
import { DestroyVolumeSnapshotOnHostStep } from './steps/destroy-volume-snapshot-on-host.step.js';
import { RemoveVolumeSnapshotRowStep } from './steps/remove-volume-snapshot-row.step.js';
import type { VolumeSnapshotParams } from './volume-snapshot.params.js';

/** Removes a snapshot of a custom volume: the files, then the row. */
export const deleteVolumeSnapshot = defineOperation<VolumeSnapshotParams>({
  kind: 'volume.snapshot-delete',
  version: 1,
  description: 'Deleting storage volume snapshot',
  conflictsWith: volumeConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [DestroyVolumeSnapshotOnHostStep, RemoveVolumeSnapshotRowStep],
});
