import { Injectable } from '@nestjs/common';
import { Database } from '#platform/database';
import { BackupRows } from '#features/storage';

/** Rows of backups of instances. */
@Injectable()
export class InstanceBackupRepository extends BackupRows {
  constructor(database: Database) {
    super(database, { table: 'instances_backups', owner: 'instance_id', alone: 'container_only' });
  }
}
