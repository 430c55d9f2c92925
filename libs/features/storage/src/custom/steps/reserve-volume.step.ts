import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';

/** The row reserved with the operation keeps the name; its `run` does nothing, its undo takes the row back. */
@Injectable()
export class ReserveVolumeStep extends Step<VolumeParams, void> {
  readonly name = 'reserve-row';
  override readonly saveOutput = false;

  constructor(private readonly runner: TransactionRunner, private readonly volumes: VolumesRepository) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: VolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      this.volumes.delete(tx, volumeKeyOf(params));
    });
  }
}
