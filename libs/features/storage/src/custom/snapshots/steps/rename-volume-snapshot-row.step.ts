import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumeSnapshotsRepository } from '../../../data/volume-snapshots.repository.js';
import { VolumesRepository } from '../../../data/volumes.repository.js';
import { VolumeEvents } from '../../volume-events.js';
import { volumeKeyOf } from '../../volume-operation.params.js';
import type { RenameVolumeSnapshotParams } from '../volume-snapshot.params.js';

/** The new name becomes the snapshot's: the commit point. */
@Injectable()
export class RenameVolumeSnapshotRowStep extends Step<RenameVolumeSnapshotParams, void> {
  readonly name = 'rename-row';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly events: VolumeEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: RenameVolumeSnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const volume = this.volumes.get(tx.sql, volumeKeyOf(params));
      if (this.snapshots.find(tx.sql, volume.id, params.snapshot) === undefined) return;
      this.snapshots.rename(tx, volume.id, params.snapshot, params.newName);
      this.events.announce(tx, context.ctx, volume, { action: 'storage-volume-snapshot-renamed', path: ['snapshots', params.newName], context: { old_name: params.snapshot } });
    });
  }

  override async undo(context: StepContext, params: RenameVolumeSnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const volume = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (volume !== undefined && this.snapshots.find(tx.sql, volume.id, params.snapshot) === undefined) this.snapshots.rename(tx, volume.id, params.newName, params.snapshot);
    });
  }
}
