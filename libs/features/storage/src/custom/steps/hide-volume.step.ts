import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';

/** Nobody can find the volume, nor give its name away, from the moment its deletion is written; its undo shows it again. */
@Injectable()
export class HideVolumeStep extends Step<VolumeParams, void> {
  readonly name = 'hide';
  override readonly saveOutput = false;

  constructor(private readonly runner: TransactionRunner, private readonly volumes: VolumesRepository) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: VolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (row?.state === 'Deleting') this.volumes.setState(tx, row.id, 'Created');
    });
  }
}
