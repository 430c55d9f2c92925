import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import { CreateOnHostStep } from '../operations/steps/create-on-host.step.js';
import { MarkReadyStep } from '../operations/steps/mark-ready.step.js';
import { ReserveInstanceRowsStep } from '../operations/steps/reserve-instance-rows.step.js';
import type { ImportInstanceParams } from './import-operation.params.js';
import { UnpackBackupStep } from './steps/unpack-backup.step.js';

/** Makes an instance, with its snapshots, from a backup. The archive does not outlive the daemon, and so neither does what was begun with it. */
export const importInstance = defineOperation<ImportInstanceParams>({
  kind: 'instance.import',
  version: 1,
  description: 'Restoring backup',
  action: 'create',
  conflictsWith: instanceConflictKey,
  restart: 'unwind',
  mayCancel: false,
  steps: [ReserveInstanceRowsStep, UnpackBackupStep, CreateOnHostStep, MarkReadyStep],
});
