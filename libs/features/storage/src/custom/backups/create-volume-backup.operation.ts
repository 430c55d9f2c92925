import { defineOperation } from '#platform/operations';
import { MarkVolumeBackupReadyStep } from './steps/mark-volume-backup-ready.step.js';
import { ReserveVolumeBackupStep } from './steps/reserve-volume-backup.step.js';
import { WriteVolumeBackupStep } from './steps/write-volume-backup.step.js';
import type { CreateVolumeBackupParams } from './volume-backup.params.js';

/**
 * Packs a custom volume as it is, in use or not, into an archive of this member. It excludes nothing else that is done with the volume: what is packed is a
 * clone, or is seen to have been replaced, and then the backup fails.
 */
export const createVolumeBackup = defineOperation<CreateVolumeBackupParams>({
  kind: 'volume.backup',
  version: 1,
  description: 'Creating custom volume backup',
  conflictsWith: ({ volumeId, backup }) => `volume-backup:${volumeId}/${backup}`,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveVolumeBackupStep, WriteVolumeBackupStep, MarkVolumeBackupReadyStep],
});
