import { copyAndStartInstance, copyInstance } from './copy-instance.operation.js';
import { FrozenSource } from './frozen-source.js';
import { InstanceCopies } from './instance-copies.service.js';
import { InstanceRefresh } from './instance-refresh.service.js';
import { refreshInstance } from './refresh-instance.operation.js';
import { RefreshedSnapshots } from './refreshed-snapshots.js';
import { CopyRootVolumeStep } from './steps/copy-root-volume.step.js';

/** What the module of instances takes up for copies. Its other steps are those of a creation. */
export const copyProviders = [InstanceCopies, InstanceRefresh, FrozenSource, RefreshedSnapshots, CopyRootVolumeStep];
export const copyOperations = [copyInstance, copyAndStartInstance, refreshInstance] as const;
