import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { CreateSnapshotParams } from './snapshot-operation.params.js';
import { CreateVolumeSnapshotStep } from './steps/create-volume-snapshot.step.js';
import { MarkSnapshotReadyStep } from './steps/mark-snapshot-ready.step.js';
import { ReserveSnapshotRowsStep } from './steps/reserve-snapshot-rows.step.js';

/** Takes a snapshot of an instance as it is, running or not. It is shown once it is whole. */
export const createSnapshot = defineOperation<CreateSnapshotParams>({
  kind: 'instance.snapshot',
  version: 1,
  description: 'Snapshotting instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveSnapshotRowsStep, CreateVolumeSnapshotStep, MarkSnapshotReadyStep],
});
