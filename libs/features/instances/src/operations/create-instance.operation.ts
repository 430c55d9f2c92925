import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { CreateInstanceParams } from './instance-operation.params.js';
import { ReserveInstanceRowsStep } from './steps/reserve-instance-rows.step.js';
import { StartCreatedStep } from './steps/start-created.step.js';
import { EnsureImageStep } from './steps/ensure-image.step.js';
import { CreateRootVolumeStep } from './steps/create-root-volume.step.js';
import { CreateOnHostStep } from './steps/create-on-host.step.js';
import { MarkReadyStep } from './steps/mark-ready.step.js';

/** Makes an instance from an image or empty. It is listed from the moment it is asked for, as LXD's is, and never started here. */
export const createInstance = defineOperation<CreateInstanceParams>({
  kind: 'instance.create',
  version: 1,
  description: 'Creating instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveInstanceRowsStep, EnsureImageStep, CreateRootVolumeStep, CreateOnHostStep, MarkReadyStep],
});

/** The same, started. One that does not start is not made. */
export const createAndStartInstance = defineOperation<CreateInstanceParams>({
  ...createInstance, kind: 'instance.create-start', steps: [...createInstance.steps, StartCreatedStep],
});
