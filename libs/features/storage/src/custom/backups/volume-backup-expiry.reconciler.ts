import { Injectable } from '@nestjs/common';
import { internalContext, LocalMember, Logger, messageOf } from '#kernel';
import { Database } from '#platform/database';
import { Reconciler } from '#platform/reconcile';
import { BackupFiles } from '../../backups/backup-files.js';
import { VolumeBackupRepository } from '../../data/volume-backup.repository.js';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { VolumeBackupRequests } from './volume-backup-requests.service.js';

/** Backups of this member's custom volumes go when their time is over, and so do files of those that are no more. */
@Injectable()
export class VolumeBackupExpiryReconciler extends Reconciler {
  override readonly name = 'volume-backup-expiry';
  override readonly periodMs = 60_000;

  constructor(
    private readonly database: Database,
    private readonly rows: VolumeBackupRepository,
    private readonly volumes: VolumesRepository,
    private readonly requests: VolumeBackupRequests,
    private readonly files: BackupFiles,
    private readonly self: LocalMember,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    for (const backup of this.rows.listExpired(this.self.id, new Date().toISOString())) {
      if (signal.aborted) return;
      const volume = this.volumes.findById(this.database.read, backup.ownerId);
      if (volume === undefined) continue;
      try {
        await (await this.requests.delete(internalContext(undefined, volume.project), volume, backup)).done;
      } catch (error) {
        this.logger.warn('Failed removing a backup of a volume whose time is over', { volume: volume.name, backup: backup.name, error: messageOf(error) });
      }
    }
    await this.files.custom.removeOrphans(() => this.rows.ids());
  }
}
