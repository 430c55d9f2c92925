import { Injectable } from '@nestjs/common';
import { internalContext, LocalMember, Logger } from '#kernel';
import { Database } from '#platform/database';
import { ExpiryReconciler } from '#platform/reconcile';
import { BackupFiles } from '../../backups/backup-files.js';
import type { BackupRow } from '../../backups/backup-rows.repository.js';
import { VolumeBackupRepository } from '../../data/volume-backup.repository.js';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { VolumeBackupRequests } from './volume-backup-requests.service.js';

interface Expired {
  readonly volume: NonNullable<ReturnType<VolumesRepository['findById']>>;
  readonly backup: BackupRow;
}

/** Backups of this member's custom volumes go when their time is over, and so do files of those that are no more. */
@Injectable()
export class VolumeBackupExpiryReconciler extends ExpiryReconciler<Expired> {
  override readonly name = 'volume-backup-expiry';

  constructor(
    private readonly database: Database,
    private readonly rows: VolumeBackupRepository,
    private readonly volumes: VolumesRepository,
    private readonly requests: VolumeBackupRequests,
    private readonly files: BackupFiles,
    private readonly self: LocalMember,
    logger: Logger,
  ) {
    super('backup of a volume', logger);
  }

  override async run(signal: AbortSignal): Promise<void> {
    await super.run(signal);
    if (!signal.aborted) await this.files.custom.removeOrphans(() => this.rows.ids());
  }

  protected override expired(now: string): Expired[] {
    return this.rows.listExpired(this.self.id, now).flatMap((backup) => {
      const volume = this.volumes.findById(this.database.read, backup.ownerId);
      return volume === undefined ? [] : [{ volume, backup }];
    });
  }

  protected override async remove({ volume, backup }: Expired): Promise<void> {
    await (await this.requests.delete(internalContext(undefined, volume.project), volume, backup)).done;
  }

  protected override describe({ volume, backup }: Expired): Record<string, string> {
    return { volume: volume.name, backup: backup.name };
  }
}
