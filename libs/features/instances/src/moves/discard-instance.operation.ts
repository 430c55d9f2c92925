import { defineOperation } from '#platform/operations';
import type { DiscardInstanceParams } from './move-operation.params.js';
import { DiscardOnHostStep } from './steps/discard-on-host.step.js';
import { DiscardRowsStep } from './steps/discard-rows.step.js';

/**
 * What a move leaves to the member the instance came from: written with the move's last transaction, begun when that member reads it, be it days later. The volume's
 * row there is the last to go, so nothing of that name is made there meanwhile.
 */
export const discardInstance = defineOperation<DiscardInstanceParams>({
  kind: 'instance.discard',
  version: 1,
  description: 'Cleaning up after a migration',
  conflictsWith: () => null,
  restart: 'resume',
  mayCancel: false,
  steps: [DiscardOnHostStep, DiscardRowsStep],
});
