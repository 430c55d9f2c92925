import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { SnapshotParams } from './snapshot-operation.params.js';
import { DestroyVolumeSnapshotStep } from './steps/destroy-volume-snapshot.step.js';
import { RemoveSnapshotRowsStep } from './steps/remove-snapshot-rows.step.js';

/** Removes a snapshot: the files, then the rows that name them. */
export const deleteSnapshot = defineOperation<SnapshotParams>({
  kind: 'instance.snapshot-delete',
  version: 1,
  description: 'Deleting snapshot',
  action: 'delete',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [DestroyVolumeSnapshotStep, RemoveSnapshotRowsStep],
});
