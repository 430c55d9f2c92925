import { defineOperation } from '#platform/operations';
import { volumeConflictKey } from '../volume-operation.params.js';
import { RenameVolumeSnapshotOnHostStep } from './steps/rename-volume-snapshot-on-host.step.js';
import { RenameVolumeSnapshotRowStep } from './steps/rename-volume-snapshot-row.step.js';
import type { RenameVolumeSnapshotParams } from './volume-snapshot.params.js';

/** Files, then row. */
export const renameVolumeSnapshot = defineOperation<RenameVolumeSnapshotParams>({
  kind: 'volume.snapshot-rename',
  version: 1,
  description: 'Renaming storage volume snapshot',
  conflictsWith: volumeConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [RenameVolumeSnapshotOnHostStep, RenameVolumeSnapshotRowStep],
});
