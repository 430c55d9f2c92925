import { Injectable } from '@nestjs/common';
import { internalContext, LocalMember, Logger, messageOf } from '#kernel';
import { Reconciler } from '#platform/reconcile';
import { BackupFiles } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceBackupRepository } from '../data/instance-backup.repository.js';
import { BackupRequests } from '../backups/backup-requests.service.js';

/** Backups of this member's instances go when their time is over, and so do files of those that are no more. */
@Injectable()
export class BackupExpiryReconciler extends Reconciler {
  override readonly name = 'backup-expiry';
  override readonly periodMs = 60_000;

  constructor(
    private readonly repository: InstanceBackupRepository,
    private readonly catalog: InstanceCatalog,
    private readonly requests: BackupRequests,
    private readonly files: BackupFiles,
    private readonly self: LocalMember,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    for (const backup of this.repository.listExpired(this.self.id, new Date().toISOString())) {
      if (signal.aborted) return;
      const instance = this.catalog.findById(backup.ownerId);
      if (instance === undefined || !this.catalog.isLocal(instance)) continue;
      try {
        await (await this.requests.delete(internalContext(undefined, instance.row.project), instance, backup)).done;
      } catch (error) {
        this.logger.warn('Failed removing a backup whose time is over', { instance: instance.row.name, backup: backup.name, error: messageOf(error) });
      }
    }
    await this.files.instances.removeOrphans(() => this.repository.ids());
  }
}
