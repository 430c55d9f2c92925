import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { VolumeEvents } from '../volume-events.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';

/** The last trace of a volume. */
@Injectable()
export class RemoveVolumeRowStep extends Step<VolumeParams, void> {
  readonly name = 'remove-row';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly events: VolumeEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: VolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (row === undefined) return;
      this.volumes.delete(tx, row);
      this.events.announce(tx, context.ctx, row, { action: 'storage-volume-deleted' });
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the row is the last to go');
  }
}
