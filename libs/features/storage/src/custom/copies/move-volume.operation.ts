import { defineOperation } from '#platform/operations';
import { copyConflictKey, type CopyVolumeParams } from './copy-volume.params.js';
import { CopyVolumeFilesStep } from './steps/copy-volume-files.step.js';
import { ReserveCopyStep } from './steps/reserve-copy.step.js';
import { SwitchVolumeStep } from './steps/switch-volume.step.js';

/** A custom volume gets to another pool or project: a copy that takes its place, and the deletion of what it was. */
export const moveVolume = defineOperation<CopyVolumeParams>({
  kind: 'volume.move',
  version: 1,
  description: 'Moving storage volume',
  conflictsWith: copyConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveCopyStep, CopyVolumeFilesStep, SwitchVolumeStep],
});
