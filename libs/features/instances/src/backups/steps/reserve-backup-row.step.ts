import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { InstanceBackupRepository } from '../../data/instance-backup.repository.js';
import type { CreateBackupParams } from '../backup-operation.params.js';

/** The row reserved with the operation; its `run` does nothing, its undo takes it back. */
@Injectable()
export class ReserveBackupRowStep extends Step<CreateBackupParams, void> {
  readonly name = 'reserve-row';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceBackupRepository,
  ) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, { backupId }: CreateBackupParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => this.repository.remove(tx, backupId));
  }
}
