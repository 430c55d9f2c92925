import { Injectable } from '@nestjs/common';
import { notFound, wrap } from '#kernel';
import { Database } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { BackupArchives } from '../../../backups/backup-archives.service.js';
import { BackupFiles } from '../../../backups/backup-files.js';
import { toYaml } from '../../../backups/yaml.rules.js';
import { VolumesRepository } from '../../../data/volumes.repository.js';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import { VolumeDescription } from '../volume-description.service.js';
import type { CreateVolumeBackupParams } from '../volume-backup.params.js';

/** The archive, from the agent's stream to a file of the daemon's. */
@Injectable()
export class WriteVolumeBackupStep extends Step<CreateVolumeBackupParams, void> {
  readonly name = 'write-archive';
  // Writing it again begins anew.
  override readonly saveOutput = false;

  constructor(
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
    private readonly description: VolumeDescription,
    private readonly host: CustomVolumeHost,
    private readonly archives: BackupArchives,
    private readonly files: BackupFiles,
  ) {
    super();
  }

  override async run(context: StepContext, params: CreateVolumeBackupParams): Promise<void> {
    const row = this.volumes.findById(this.database.read, params.volumeId);
    if (row === undefined) throw notFound('Create volume backup: Storage pool volume not found');
    const index = this.description.index(row, params);
    try {
      await this.archives.pack({
        volume: this.host.spec(row), optimized: params.optimized, compression: params.compression, snapshots: index.snapshots ?? [], index: toYaml(index),
      }, this.files.custom, params.backupId, context);
    } catch (error) {
      throw wrap(error, 'Create volume backup: Backup create');
    }
  }

  override async undo(_context: StepContext, { backupId }: CreateVolumeBackupParams): Promise<void> {
    await this.files.custom.remove(backupId);
  }
}
