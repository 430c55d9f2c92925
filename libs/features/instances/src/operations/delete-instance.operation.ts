import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { DeleteInstanceParams } from './instance-operation.params.js';
import { DestroyOnHostStep } from './steps/destroy-on-host.step.js';
import { DestroyRootVolumeStep } from './steps/destroy-root-volume.step.js';
import { RemoveInstanceRowsStep } from './steps/remove-instance-rows.step.js';

/** Takes an instance apart, host first, so that no host object is ever without a row that names it. */
export const deleteInstance = defineOperation<DeleteInstanceParams>({
  kind: 'instance.delete',
  version: 1,
  description: 'Deleting instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [DestroyOnHostStep, DestroyRootVolumeStep, RemoveInstanceRowsStep],
});
