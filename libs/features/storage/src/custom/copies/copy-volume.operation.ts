import { defineOperation } from '#platform/operations';
import { copyConflictKey, type CopyVolumeParams } from './copy-volume.params.js';
import { CopyVolumeFilesStep } from './steps/copy-volume-files.step.js';
import { MarkCopyReadyStep } from './steps/mark-copy-ready.step.js';
import { ReserveCopyStep } from './steps/reserve-copy.step.js';

/** A custom volume like another one, of this member or another. It is shown once it is whole. */
export const copyVolume = defineOperation<CopyVolumeParams>({
  kind: 'volume.copy',
  version: 1,
  description: 'Copying storage volume',
  conflictsWith: copyConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveCopyStep, CopyVolumeFilesStep, MarkCopyReadyStep],
});
