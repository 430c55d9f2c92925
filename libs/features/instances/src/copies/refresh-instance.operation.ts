import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { RefreshInstanceParams } from './copy-operation.params.js';
import { FinishRefreshStep } from './steps/finish-refresh.step.js';
import { RefreshVolumeStep } from './steps/refresh-volume.step.js';
import { WriteRefreshedRowsStep } from './steps/write-refreshed-rows.step.js';

/**
 * Brings files and snapshots of a copy up to date with its source, which is only read; the copy's configuration stays. What the copy was is kept until
 * the rows say what it is now.
 */
export const refreshInstance = defineOperation<RefreshInstanceParams>({
  kind: 'instance.refresh',
  version: 1,
  description: 'Creating instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [RefreshVolumeStep, WriteRefreshedRowsStep, FinishRefreshStep],
});
