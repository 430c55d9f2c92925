import { Injectable } from '@nestjs/common';
import { Database } from '#platform/database';
import { BackupRows } from '../backups/backup-rows.repository.js';

/** Rows of backups of custom volumes. */
@Injectable()
export class VolumeBackupRepository extends BackupRows {
  constructor(database: Database) {
    super(database, { table: 'storage_volumes_backups', owner: 'storage_volume_id', alone: 'volume_only' });
  }
}
