import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { RenameInstanceParams } from './instance-operation.params.js';
import { RenameRootVolumeStep } from './steps/rename-root-volume.step.js';
import { RenameOnHostStep } from './steps/rename-on-host.step.js';
import { RenameRowsStep } from './steps/rename-rows.step.js';

/** Of a stopped instance: volume, host, rows. */
export const renameInstance = defineOperation<RenameInstanceParams>({
  kind: 'instance.rename',
  version: 1,
  description: 'Renaming instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [RenameRootVolumeStep, RenameOnHostStep, RenameRowsStep],
});
