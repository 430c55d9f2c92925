import { defineOperation } from '#platform/operations';
import { RenameVolumeOnHostStep } from './steps/rename-volume-on-host.step.js';
import { RenameVolumeRowStep } from './steps/rename-volume-row.step.js';
import { ReserveNewNameStep } from './steps/reserve-new-name.step.js';
import { volumeConflictKey, type RenameVolumeParams } from './volume-operation.params.js';

/** Files, then rows, then whoever names the volume. */
export const renameVolume = defineOperation<RenameVolumeParams>({
  kind: 'volume.rename',
  version: 1,
  description: 'Renaming storage volume',
  action: 'rename',
  conflictsWith: volumeConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveNewNameStep, RenameVolumeOnHostStep, RenameVolumeRowStep],
});
