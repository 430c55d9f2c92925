import { InstanceBackupsController } from '../api/instance-backups.controller.js';
import { InstanceBackupRepository } from '../data/instance-backup.repository.js';
import { BackupExpiryReconciler } from '../reconcile/backup-expiry.reconciler.js';
import { BackupYamlReconciler } from '../reconcile/backup-yaml.reconciler.js';
import { BackupRequests } from './backup-requests.service.js';
import { BackupYaml } from './backup-yaml.service.js';
import { createBackup } from './create-backup.operation.js';
import { DescribedRows } from './described-rows.service.js';
import { importInstance } from './import-instance.operation.js';
import { InstanceDescription } from './instance-description.service.js';
import { InstanceImports } from './instance-imports.service.js';

/** What the module of instances takes up for backups. */
export const backupControllers = [InstanceBackupsController];
export const backupProviders = [
  InstanceBackupRepository, BackupRequests, BackupYaml, DescribedRows, InstanceDescription, InstanceImports, BackupExpiryReconciler, BackupYamlReconciler,
];
export const backupOperations = [createBackup, importInstance] as const;
