import { defineOperation } from '#platform/operations';
import { volumeConflictKey } from '../volume-operation.params.js';
import { CreateVolumeSnapshotOnHostStep } from './steps/create-volume-snapshot-on-host.step.js';
import { WriteVolumeSnapshotRowStep } from './steps/write-volume-snapshot-row.step.js';
import type { CreateVolumeSnapshotParams } from './volume-snapshot.params.js';

/** Takes a snapshot of a custom volume as it is, in use or not. It is shown once it is whole. */
export const createVolumeSnapshot = defineOperation<CreateVolumeSnapshotParams>({
  kind: 'volume.snapshot',
  version: 1,
  description: 'Creating storage volume snapshot',
  conflictsWith: volumeConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [CreateVolumeSnapshotOnHostStep, WriteVolumeSnapshotRowStep],
});
