import { copyInstance } from './copy-instance.operation.js';
import { InstanceCopies } from './instance-copies.service.js';
import { CopyRootVolumeStep } from './steps/copy-root-volume.step.js';

/** What the module of instances takes up for copies. Its other steps are those of a creation. */
export const copyProviders = [InstanceCopies, CopyRootVolumeStep];
export const copyOperations = [copyInstance] as const;
