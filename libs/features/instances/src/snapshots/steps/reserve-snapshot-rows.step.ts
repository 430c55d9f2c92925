import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { InstanceSnapshotRepository } from '../../data/instance-snapshot.repository.js';
import { volumeKeyOf, type SnapshotParams } from '../snapshot-operation.params.js';

/** The rows reserved with the operation; its `run` does nothing, its undo takes them back. */
@Injectable()
export class ReserveSnapshotRowsStep extends Step<SnapshotParams, void> {
  readonly name = 'reserve-rows';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceSnapshotRepository,
    private readonly volumes: SnapshotVolumes,
  ) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: SnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      this.volumes.release(tx, volumeKeyOf(params), params.snapshot);
      const row = this.repository.find(params.id, params.snapshot, tx.sql);
      if (row !== undefined) this.repository.remove(tx, row.id);
    });
  }
}
