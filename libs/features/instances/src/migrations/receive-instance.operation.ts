import { defineOperation } from '#platform/operations';
import { FinishRefreshStep } from '../copies/steps/finish-refresh.step.js';
import { WriteRefreshedRowsStep } from '../copies/steps/write-refreshed-rows.step.js';
import { instanceConflictKey } from '../instance-urls.js';
import { CreateOnHostStep } from '../operations/steps/create-on-host.step.js';
import { MarkReadyStep } from '../operations/steps/mark-ready.step.js';
import { ReserveInstanceRowsStep } from '../operations/steps/reserve-instance-rows.step.js';
import type { ReceiveInstanceParams, ReceiveRefreshParams } from './migration.params.js';
import { ReceiveRefreshStep } from './steps/receive-refresh.step.js';
import { ReceiveRootVolumeStep } from './steps/receive-root-volume.step.js';

/** Makes an instance of what another server sends. The conversation does not outlive the daemon, and so neither does what was begun with it. */
export const receiveInstance = defineOperation<ReceiveInstanceParams>({
  kind: 'instance.receive',
  version: 1,
  description: 'Creating instance',
  action: 'create',
  conflictsWith: instanceConflictKey,
  restart: 'unwind',
  mayCancel: false,
  steps: [ReserveInstanceRowsStep, ReceiveRootVolumeStep, CreateOnHostStep, MarkReadyStep],
});

/** Brings files and snapshots of a copy up to date with its source on another server; the copy's configuration stays. What the copy was is kept until the rows say what it is now. */
export const receiveRefresh = defineOperation<ReceiveRefreshParams>({
  kind: 'instance.receive-refresh',
  version: 1,
  description: 'Creating instance',
  conflictsWith: instanceConflictKey,
  restart: 'unwind',
  mayCancel: false,
  steps: [ReceiveRefreshStep, WriteRefreshedRowsStep, FinishRefreshStep],
});
