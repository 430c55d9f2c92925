import { receiveVolume, receiveVolumeRefresh } from './receive-volume.operation.js';
import { VolumeMigrationRequests } from './volume-migration-requests.service.js';

/** What the module of storage takes up for custom volumes that come from other servers or go there. */
export const volumeMigrationProviders = [VolumeMigrationRequests];
export const volumeMigrationOperations = [receiveVolume, receiveVolumeRefresh] as const;
