import { VolumeBackupRepository } from '../../data/volume-backup.repository.js';
import { createVolumeBackup } from './create-volume-backup.operation.js';
import { importVolume } from './import-volume.operation.js';
import { VolumeBackupExpiryReconciler } from './volume-backup-expiry.reconciler.js';
import { VolumeBackupRequests } from './volume-backup-requests.service.js';
import { VolumeDescription } from './volume-description.service.js';
import { VolumeImports } from './volume-imports.service.js';

/** What the module of storage takes up for backups of custom volumes. */
export const volumeBackupProviders = [VolumeBackupRepository, VolumeBackupRequests, VolumeBackupExpiryReconciler, VolumeDescription, VolumeImports];
export const volumeBackupOperations = [createVolumeBackup, importVolume] as const;
