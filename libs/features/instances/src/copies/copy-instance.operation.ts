import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import { CreateOnHostStep } from '../operations/steps/create-on-host.step.js';
import { MarkReadyStep } from '../operations/steps/mark-ready.step.js';
import { ReserveInstanceRowsStep } from '../operations/steps/reserve-instance-rows.step.js';
import { StartCreatedStep } from '../operations/steps/start-created.step.js';
import type { CopyInstanceParams } from './copy-operation.params.js';
import { CopyRootVolumeStep } from './steps/copy-root-volume.step.js';

/** Makes an instance from another one, or from a snapshot, of this member or another. The source is only read. */
export const copyInstance = defineOperation<CopyInstanceParams>({
  kind: 'instance.copy',
  version: 1,
  description: 'Creating instance',
  action: 'create',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveInstanceRowsStep, CopyRootVolumeStep, CreateOnHostStep, MarkReadyStep],
});

/** The same, started. One that does not start is not made. */
export const copyAndStartInstance = defineOperation<CopyInstanceParams>({
  ...copyInstance, kind: 'instance.copy-start', steps: [...copyInstance.steps, StartCreatedStep],
});
