import { defineOperation } from '#platform/operations';
import { ResizeVolumeStep } from './steps/resize-volume.step.js';
import { WriteVolumeRowStep } from './steps/write-volume-row.step.js';
import { volumeConflictKey, type UpdateVolumeParams } from './volume-operation.params.js';

/** A change of a custom volume that reaches the host: its size. */
export const updateVolume = defineOperation<UpdateVolumeParams>({
  kind: 'volume.update',
  version: 1,
  description: 'Updating storage volume',
  action: 'update',
  conflictsWith: volumeConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ResizeVolumeStep, WriteVolumeRowStep],
});
