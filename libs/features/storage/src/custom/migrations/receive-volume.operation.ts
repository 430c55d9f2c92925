import { defineOperation } from '#platform/operations';
import { FinishRefreshStep } from '../copies/steps/finish-refresh.step.js';
import { MarkCopyReadyStep } from '../copies/steps/mark-copy-ready.step.js';
import { ReserveCopyStep } from '../copies/steps/reserve-copy.step.js';
import { volumeConflictKey } from '../volume-operation.params.js';
import type { ReceivedRefreshParams, ReceivedVolumeParams } from './received-volume.params.js';
import { ReceiveVolumeStep } from './steps/receive-volume.step.js';
import { ReceiveVolumeRefreshStep } from './steps/receive-volume-refresh.step.js';

/** A custom volume of what another server sends. The conversation does not outlive the daemon, and so neither does what was begun with it. */
export const receiveVolume = defineOperation<ReceivedVolumeParams>({
  kind: 'volume.receive',
  version: 1,
  description: 'Creating storage volume',
  conflictsWith: volumeConflictKey,
  restart: 'unwind',
  mayCancel: false,
  steps: [ReserveCopyStep, ReceiveVolumeStep, MarkCopyReadyStep],
});

/** Makes a copy what its source on another server is now, snapshots included. What it was comes back when that fails. */
export const receiveVolumeRefresh = defineOperation<ReceivedRefreshParams>({
  kind: 'volume.receive-refresh',
  version: 1,
  description: 'Creating storage volume',
  conflictsWith: volumeConflictKey,
  restart: 'unwind',
  mayCancel: false,
  steps: [ReceiveVolumeRefreshStep, FinishRefreshStep],
});
