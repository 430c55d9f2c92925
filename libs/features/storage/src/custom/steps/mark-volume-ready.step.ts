import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { VolumeEvents } from '../volume-events.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';

/** The volume is there: the commit point. */
@Injectable()
export class MarkVolumeReadyStep extends Step<VolumeParams, void> {
  readonly name = 'mark-ready';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly events: VolumeEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: VolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (row?.state !== 'Creating') return;
      this.volumes.setState(tx, row.id, 'Created');
      this.events.announce(tx, context.ctx, row, { action: 'storage-volume-created', context: { type: row.type } });
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the row goes with its reservation');
  }
}
