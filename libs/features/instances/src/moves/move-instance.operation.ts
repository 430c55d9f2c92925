import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { MoveInstanceParams } from './move-operation.params.js';
import { PrepareMovedInstanceStep } from './steps/prepare-moved-instance.step.js';
import { PullMovedVolumeStep } from './steps/pull-moved-volume.step.js';
import { ReserveMovedVolumeStep } from './steps/reserve-moved-volume.step.js';
import { SwitchMemberStep } from './steps/switch-member.step.js';

/**
 * Brings an instance to the member that runs this: everything it needs is made here first, then one transaction says that it is here. Each step touches this member
 * alone (hazards D4): the other one sends its volume to whoever asks, starts nothing as long as it sees this operation, and removes its own leavings
 * when it sees that the instance is gone. Whoever dies, when, the row names one member and that member has all of it.
 */
export const moveInstance = defineOperation<MoveInstanceParams>({
  kind: 'instance.move',
  version: 1,
  description: 'Migrating instance',
  conflictsWith: instanceConflictKey,
  restart: 'unwind',
  mayCancel: false,
  steps: [ReserveMovedVolumeStep, PullMovedVolumeStep, PrepareMovedInstanceStep, SwitchMemberStep],
});
