import { Injectable } from '@nestjs/common';
import { internalContext, LocalMember, Logger } from '#kernel';
import { ExpiryReconciler } from '#platform/reconcile';
import { BackupFiles, type BackupRow } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceBackupRepository } from '../data/instance-backup.repository.js';
import { BackupRequests } from '../backups/backup-requests.service.js';

interface Expired {
  readonly instance: ExpandedInstance;
  readonly backup: BackupRow;
}

/** Backups of this member's instances go when their time is over, and so do files of those that are no more. */
@Injectable()
export class BackupExpiryReconciler extends ExpiryReconciler<Expired> {
  override readonly name = 'backup-expiry';

  constructor(
    private readonly repository: InstanceBackupRepository,
    private readonly catalog: InstanceCatalog,
    private readonly requests: BackupRequests,
    private readonly files: BackupFiles,
    private readonly self: LocalMember,
    logger: Logger,
  ) {
    super('backup', logger);
  }

  override async run(signal: AbortSignal): Promise<void> {
    await super.run(signal);
    if (!signal.aborted) await this.files.instances.removeOrphans(() => this.repository.ids());
  }

  protected override expired(now: string): Expired[] {
    return this.repository.listExpired(this.self.id, now).flatMap((backup) => {
      const instance = this.catalog.findById(backup.ownerId);
      return instance !== undefined && this.catalog.isLocal(instance) ? [{ instance, backup }] : [];
    });
  }

  protected override async remove({ instance, backup }: Expired): Promise<void> {
    await (await this.requests.delete(internalContext(undefined, instance.row.project), instance, backup)).done;
  }

  protected override describe({ instance, backup }: Expired): Record<string, string> {
    return { instance: instance.row.name, backup: backup.name };
  }
}
