import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { VolumeEvents } from '../volume-events.js';
import { volumeKeyOf, type UpdateVolumeParams } from '../volume-operation.params.js';

/** What was asked for is the volume's: the commit point. */
@Injectable()
export class WriteVolumeRowStep extends Step<UpdateVolumeParams, void> {
  readonly name = 'write-row';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly events: VolumeEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: UpdateVolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (row === undefined) return;
      this.volumes.update(tx, row.id, params.wanted);
      this.events.announce(tx, context.ctx, row, { action: 'storage-volume-updated' });
    });
  }

  override async undo(context: StepContext, params: UpdateVolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (row !== undefined) this.volumes.update(tx, row.id, params.former);
    });
  }
}
