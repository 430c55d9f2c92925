import { defineOperation } from '#platform/operations';
import { instanceConflictKey } from '../instance-urls.js';
import type { RebuildInstanceParams } from './rebuild-operation.params.js';
import { DropRebuiltVolumeStep } from './steps/drop-rebuilt-volume.step.js';
import { EnsureRebuildImageStep } from './steps/ensure-rebuild-image.step.js';
import { RebuildVolumeStep } from './steps/rebuild-volume.step.js';
import { WriteRebuiltRowStep } from './steps/write-rebuilt-row.step.js';

/** Makes the root disk of an instance anew, from an image or empty. What it was is set aside until the row says what it is now, and comes back otherwise. */
export const rebuildInstance = defineOperation<RebuildInstanceParams>({
  kind: 'instance.rebuild',
  version: 1,
  description: 'Rebuilding instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [EnsureRebuildImageStep, RebuildVolumeStep, WriteRebuiltRowStep, DropRebuiltVolumeStep],
});
