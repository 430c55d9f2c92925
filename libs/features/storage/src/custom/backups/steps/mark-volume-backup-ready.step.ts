import { Injectable } from '@nestjs/common';
import { notFound } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumeBackupRepository } from '../../../data/volume-backup.repository.js';
import { VolumesRepository } from '../../../data/volumes.repository.js';
import { VolumeEvents } from '../../volume-events.js';
import type { CreateVolumeBackupParams } from '../volume-backup.params.js';

/** The backup is there: the commit point. */
@Injectable()
export class MarkVolumeBackupReadyStep extends Step<CreateVolumeBackupParams, void> {
  readonly name = 'mark-ready';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly rows: VolumeBackupRepository,
    private readonly events: VolumeEvents,
  ) {
    super();
  }

  override async run(context: StepContext, { volumeId, backupId, backup }: CreateVolumeBackupParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const volume = this.volumes.findById(tx.sql, volumeId);
      if (volume === undefined || !this.rows.setCreated(tx, backupId)) throw notFound('Create volume backup: Storage pool volume not found');
      this.events.announce(tx, context.ctx, volume, { action: 'storage-volume-backup-created', path: ['backups', backup], context: { type: volume.type } });
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the row goes with its reservation');
  }
}
