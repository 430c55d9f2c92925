import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { UpdateInstanceParams } from './instance-operation.params.js';
import { WriteInstanceRowStep } from './steps/write-instance-row.step.js';
import { ApplyOnHostStep } from './steps/apply-on-host.step.js';
import { AnnounceUpdateStep } from './steps/announce-update.step.js';

/** A change that reaches the host: the row first, then the host; a refusal of the host takes the row back. */
export const updateInstance = defineOperation<UpdateInstanceParams>({
  kind: 'instance.update',
  version: 1,
  description: 'Updating instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [WriteInstanceRowStep, ApplyOnHostStep, AnnounceUpdateStep],
});
