import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumeBackupRepository } from '../../../data/volume-backup.repository.js';
import type { CreateVolumeBackupParams } from '../volume-backup.params.js';

/** The row reserved with the operation; its `run` does nothing, its undo takes it back. */
@Injectable()
export class ReserveVolumeBackupStep extends Step<CreateVolumeBackupParams, void> {
  readonly name = 'reserve-row';
  override readonly saveOutput = false;

  constructor(private readonly runner: TransactionRunner, private readonly rows: VolumeBackupRepository) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, { backupId }: CreateVolumeBackupParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => this.rows.remove(tx, backupId));
  }
}
