import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import { CreateOnHostStep } from '../operations/steps/create-on-host.step.js';
import type { CreateInstanceParams } from '../operations/instance-operation.params.js';
import { MarkReadyStep } from '../operations/steps/mark-ready.step.js';
import { ReserveInstanceRowsStep } from '../operations/steps/reserve-instance-rows.step.js';

/** Makes an instance known again whose volume is there. Nothing of it touches the volume, taken back or not. */
export const recoverInstance = defineOperation<CreateInstanceParams>({
  kind: 'instance.recover',
  version: 1,
  description: 'Recovering instance',
  action: 'create',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveInstanceRowsStep, CreateOnHostStep, MarkReadyStep],
});
