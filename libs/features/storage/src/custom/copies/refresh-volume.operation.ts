import { defineOperation } from '#platform/operations';
import { copyConflictKey, type RefreshVolumeParams } from './copy-volume.params.js';
import { FinishRefreshStep } from './steps/finish-refresh.step.js';
import { RefreshVolumeFilesStep } from './steps/refresh-volume-files.step.js';

/** Makes a copy what its source is now, snapshots included. What it was comes back when that fails. */
export const refreshVolume = defineOperation<RefreshVolumeParams>({
  kind: 'volume.refresh',
  version: 1,
  description: 'Copying storage volume',
  conflictsWith: copyConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [RefreshVolumeFilesStep, FinishRefreshStep],
});
