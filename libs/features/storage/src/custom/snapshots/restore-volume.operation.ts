import { defineOperation } from '#platform/operations';
import { volumeConflictKey } from '../volume-operation.params.js';
import { FinishVolumeRestoreStep } from './steps/finish-volume-restore.step.js';
import { RestoreVolumeOnHostStep } from './steps/restore-volume-on-host.step.js';
import type { RestoreVolumeParams } from './volume-snapshot.params.js';

/** Makes the files of a custom volume what they were when a snapshot was taken. What they were before comes back when that fails; the snapshot is only read. */
export const restoreVolume = defineOperation<RestoreVolumeParams>({
  kind: 'volume.restore',
  version: 1,
  description: 'Restoring storage volume',
  conflictsWith: volumeConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [RestoreVolumeOnHostStep, FinishVolumeRestoreStep],
});
