import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumeSnapshotsRepository } from '../../../data/volume-snapshots.repository.js';
import { VolumesRepository } from '../../../data/volumes.repository.js';
import { VolumeEvents } from '../../volume-events.js';
import { volumeKeyOf } from '../../volume-operation.params.js';
import type { CreateVolumeSnapshotParams } from '../volume-snapshot.params.js';

/** The snapshot is there: the commit point. Nobody else gives snapshots of the volume names while the operation holds its key. */
@Injectable()
export class WriteVolumeSnapshotRowStep extends Step<CreateVolumeSnapshotParams, void> {
  readonly name = 'write-row';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly events: VolumeEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: CreateVolumeSnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const volume = this.volumes.get(tx.sql, volumeKeyOf(params));
      if (this.snapshots.find(tx.sql, volume.id, params.snapshot) !== undefined) return;
      this.snapshots.insert(tx, volume.id, { ...params, name: params.snapshot });
      this.events.announce(tx, context.ctx, volume, { action: 'storage-volume-snapshot-created', path: ['snapshots', params.snapshot], context: { type: volume.type } });
    });
  }

  override async undo(context: StepContext, params: CreateVolumeSnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const volume = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (volume !== undefined) this.snapshots.delete(tx, volume.id, params.snapshot);
    });
  }
}
