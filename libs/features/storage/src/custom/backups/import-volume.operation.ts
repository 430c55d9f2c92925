import { defineOperation } from '#platform/operations';
import { MarkCopyReadyStep } from '../copies/steps/mark-copy-ready.step.js';
import { ReserveVolumeStep } from '../steps/reserve-volume.step.js';
import { volumeConflictKey } from '../volume-operation.params.js';
import { UnpackVolumeStep } from './steps/unpack-volume.step.js';
import type { ImportVolumeParams } from './volume-backup.params.js';

/** Makes a custom volume, with its snapshots, from a backup. The archive does not outlive the daemon, and so neither does what was begun with it. */
export const importVolume = defineOperation<ImportVolumeParams>({
  kind: 'volume.import',
  version: 1,
  description: 'Restoring custom volume backup',
  action: 'create',
  conflictsWith: volumeConflictKey,
  restart: 'unwind',
  mayCancel: false,
  steps: [ReserveVolumeStep, UnpackVolumeStep, MarkCopyReadyStep],
});
