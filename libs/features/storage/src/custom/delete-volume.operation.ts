import { defineOperation } from '#platform/operations';
import { DestroyVolumeOnHostStep } from './steps/destroy-volume-on-host.step.js';
import { HideVolumeStep } from './steps/hide-volume.step.js';
import { RemoveVolumeRowStep } from './steps/remove-volume-row.step.js';
import { volumeConflictKey, type VolumeParams } from './volume-operation.params.js';

/** Removes a custom volume with its snapshots: the files, then the rows. */
export const deleteVolume = defineOperation<VolumeParams>({
  kind: 'volume.delete',
  version: 1,
  description: 'Deleting storage volume',
  action: 'delete',
  conflictsWith: volumeConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [HideVolumeStep, DestroyVolumeOnHostStep, RemoveVolumeRowStep],
});
