import { defineOperation } from '#platform/operations';
import { CreateVolumeOnHostStep } from './steps/create-volume-on-host.step.js';
import { MarkVolumeReadyStep } from './steps/mark-volume-ready.step.js';
import { ReserveVolumeStep } from './steps/reserve-volume.step.js';
import { volumeConflictKey, type CreateVolumeParams } from './volume-operation.params.js';

/** An empty custom volume. It is shown once it is there. */
export const createVolume = defineOperation<CreateVolumeParams>({
  kind: 'volume.create',
  version: 1,
  description: 'Creating storage volume',
  action: 'create',
  conflictsWith: volumeConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveVolumeStep, CreateVolumeOnHostStep, MarkVolumeReadyStep],
});
