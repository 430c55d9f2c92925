import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { RestoreSnapshotParams } from './snapshot-operation.params.js';
import { ApplyRestoredRowStep } from './steps/apply-restored-row.step.js';
import { FinishRestoreStep } from './steps/finish-restore.step.js';
import { RestoreVolumeStep } from './steps/restore-volume.step.js';
import { StartRestoredStep } from './steps/start-restored.step.js';
import { StopForRestoreStep } from './steps/stop-for-restore.step.js';
import { WriteRestoredRowStep } from './steps/write-restored-row.step.js';

/**
 * Makes an instance what it was when a snapshot was taken: stopped if need be, files, configuration, host, started again. What it was before is
 * kept until all of that has succeeded, and comes back when something does not; the snapshot is only ever read.
 */
export const restoreSnapshot = defineOperation<RestoreSnapshotParams>({
  kind: 'instance.restore',
  version: 1,
  description: 'Restoring snapshot',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [StopForRestoreStep, RestoreVolumeStep, WriteRestoredRowStep, ApplyRestoredRowStep, StartRestoredStep, FinishRestoreStep],
});
