import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { InstanceSnapshotRepository } from '../../data/instance-snapshot.repository.js';
import { volumeKeyOf, type SnapshotParams } from '../snapshot-operation.params.js';

/** Removes the data, once it is written down that it goes: what is shown is always whole. */
@Injectable()
export class DestroyVolumeSnapshotStep extends Step<SnapshotParams, void> {
  readonly name = 'destroy-volume-snapshot';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceSnapshotRepository,
    private readonly volumes: SnapshotVolumes,
  ) {
    super();
  }

  override async run(context: StepContext, params: SnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.find(params.id, params.snapshot, tx.sql);
      if (row !== undefined) this.repository.setState(tx, row.id, 'Deleting');
    });
    await this.volumes.destroy(volumeKeyOf(params), params.snapshot);
  }

  /** It can be deleted again; until it is, it stays listed. */
  override async undo(context: StepContext, params: SnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.find(params.id, params.snapshot, tx.sql);
      if (row !== undefined) this.repository.setState(tx, row.id, 'Created');
    });
  }
}
