import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../../data/volumes.repository.js';
import { volumeKeyOf } from '../../volume-operation.params.js';
import type { CopiedVolumeParams } from '../copy-volume.params.js';

/** The row reserved with the operation keeps the name. A volume that has moved is not taken back: what it came from is going. */
@Injectable()
export class ReserveCopyStep extends Step<CopiedVolumeParams, void> {
  readonly name = 'reserve-row';
  override readonly saveOutput = false;

  constructor(private readonly runner: TransactionRunner, private readonly volumes: VolumesRepository) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: CopiedVolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.volumes.find(tx.sql, volumeKeyOf(params));
      if (row !== undefined && !(params.move && row.state === 'Created')) this.volumes.delete(tx, row);
    });
  }
}
