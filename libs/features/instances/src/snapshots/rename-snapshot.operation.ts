import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { RenameSnapshotParams } from './snapshot-operation.params.js';
import { RenameSnapshotRowsStep } from './steps/rename-snapshot-rows.step.js';
import { RenameVolumeSnapshotStep } from './steps/rename-volume-snapshot.step.js';

/** Files, then rows. */
export const renameSnapshot = defineOperation<RenameSnapshotParams>({
  kind: 'instance.snapshot-rename',
  version: 1,
  description: 'Renaming snapshot',
  action: 'rename',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [RenameVolumeSnapshotStep, RenameSnapshotRowsStep],
});
