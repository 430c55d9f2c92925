import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { RelocateInstanceParams } from './relocation.params.js';
import { DropFormerVolumeStep } from './steps/drop-former-volume.step.js';
import { RelocateOnHostStep } from './steps/relocate-on-host.step.js';
import { RelocateVolumeStep } from './steps/relocate-volume.step.js';
import { ReserveRelocatedVolumeStep } from './steps/reserve-relocated-volume.step.js';
import { SwitchPlaceStep } from './steps/switch-place.step.js';

/**
 * Gives a stopped instance another pool, project or name on its member. Within a pool its volume is renamed, otherwise copied, and what it leaves goes once
 * the row says where it is. Steps after that are undone no more: it is there.
 */
export const relocateInstance = defineOperation<RelocateInstanceParams>({
  kind: 'instance.relocate',
  version: 1,
  description: 'Migrating instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveRelocatedVolumeStep, RelocateVolumeStep, RelocateOnHostStep, SwitchPlaceStep, DropFormerVolumeStep],
});
