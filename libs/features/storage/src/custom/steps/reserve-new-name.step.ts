import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { volumeKeyOf, type RenameVolumeParams } from '../volume-operation.params.js';

/** A row that keeps the new name free for the volume, written with the operation. */
@Injectable()
export class ReserveNewNameStep extends Step<RenameVolumeParams, void> {
  readonly name = 'reserve-new-name';
  override readonly saveOutput = false;

  constructor(private readonly runner: TransactionRunner, private readonly volumes: VolumesRepository) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: RenameVolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.volumes.find(tx.sql, volumeKeyOf({ ...params, name: params.newName }));
      if (row?.state === 'Creating') this.volumes.delete(tx, row);
    });
  }
}
