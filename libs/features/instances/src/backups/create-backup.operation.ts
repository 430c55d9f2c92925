import { defineOperation } from '#platform/operations';
import type { CreateBackupParams } from './backup-operation.params.js';
import { MarkBackupReadyStep } from './steps/mark-backup-ready.step.js';
import { ReserveBackupRowStep } from './steps/reserve-backup-row.step.js';
import { WriteBackupStep } from './steps/write-backup.step.js';

/**
 * Packs an instance as it is, running or not, into an archive of this member. It excludes nothing else that is done with the instance: what is packed is a
 * clone, or is seen to have been replaced, and then the backup fails.
 */
export const createBackup = defineOperation<CreateBackupParams>({
  kind: 'instance.backup',
  version: 1,
  description: 'Backing up instance',
  conflictsWith: ({ id, backup }) => `backup:${id}/${backup}`,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveBackupRowStep, WriteBackupStep, MarkBackupReadyStep],
});
