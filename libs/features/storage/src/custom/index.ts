import { AttachedVolumes } from './attached-volumes.service.js';
import { volumeCopyOperations, volumeCopyProviders } from './copies/index.js';
import { volumeBackupOperations, volumeBackupProviders } from './backups/index.js';
import { createVolume } from './create-volume.operation.js';
import { CustomVolumeHost } from './custom-volume-host.js';
import { CustomVolumeRoutes } from './custom-volume-routes.js';
import { CustomVolumes } from './custom-volumes.service.js';
import { deleteVolume } from './delete-volume.operation.js';
import { discardVolume } from './discard-volume.operation.js';
import { LostVolumes } from './lost-volumes.service.js';
import { volumeMigrationOperations, volumeMigrationProviders } from './migrations/index.js';
import { renameVolume } from './rename-volume.operation.js';
import { volumeSnapshotOperations, volumeSnapshotProviders } from './snapshots/index.js';
import { updateVolume } from './update-volume.operation.js';
import { VolumeEvents } from './volume-events.js';
import { VolumeUsers } from './volume-users.service.js';

/** What the module of storage takes up for custom volumes. */
export const customVolumeProviders = [AttachedVolumes, CustomVolumeHost, CustomVolumeRoutes, CustomVolumes, LostVolumes, VolumeEvents, VolumeUsers, ...volumeSnapshotProviders, ...volumeCopyProviders, ...volumeBackupProviders, ...volumeMigrationProviders];
export const customVolumeOperations = [createVolume, deleteVolume, discardVolume, renameVolume, updateVolume, ...volumeSnapshotOperations, ...volumeCopyOperations, ...volumeBackupOperations, ...volumeMigrationOperations] as const;
