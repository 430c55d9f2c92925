import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumeSnapshotsRepository } from '../../../data/volume-snapshots.repository.js';
import { VolumesRepository } from '../../../data/volumes.repository.js';
import { VolumeEvents } from '../../volume-events.js';
import { volumeKeyOf } from '../../volume-operation.params.js';
import type { VolumeSnapshotParams } from '../volume-snapshot.params.js';

/** The last trace of a snapshot. */
@Injectable()
export class RemoveVolumeSnapshotRowStep extends Step<VolumeSnapshotParams, void> {
  readonly name = 'remove-row';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly events: VolumeEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: VolumeSnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const volume = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (volume === undefined || this.snapshots.find(tx.sql, volume.id, params.snapshot) === undefined) return;
      this.snapshots.delete(tx, volume.id, params.snapshot);
      this.events.announce(tx, context.ctx, volume, { action: 'storage-volume-snapshot-deleted', path: ['snapshots', params.snapshot] });
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the row is the last to go');
  }
}
