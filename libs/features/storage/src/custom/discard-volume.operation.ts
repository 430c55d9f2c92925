import { defineOperation } from '#platform/operations';
import { DestroyVolumeOnHostStep } from './steps/destroy-volume-on-host.step.js';
import { RemoveVolumeRowStep } from './steps/remove-volume-row.step.js';
import type { VolumeParams } from './volume-operation.params.js';

/** What a volume that has moved leaves behind. Its row, which nobody finds any more, keeps the name until the files are gone. */
export const discardVolume = defineOperation<VolumeParams>({
  kind: 'volume.discard',
  version: 1,
  description: 'Deleting storage volume',
  conflictsWith: () => null,
  restart: 'resume',
  mayCancel: false,
  steps: [DestroyVolumeOnHostStep, RemoveVolumeRowStep],
});
