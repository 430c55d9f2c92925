import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { InstanceSnapshotRepository } from '../../data/instance-snapshot.repository.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { volumeKeyOf, type SnapshotParams } from '../snapshot-operation.params.js';

/** The last trace of a snapshot. */
@Injectable()
export class RemoveSnapshotRowsStep extends Step<SnapshotParams, void> {
  readonly name = 'remove-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceSnapshotRepository,
    private readonly volumes: SnapshotVolumes,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: SnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      this.volumes.release(tx, volumeKeyOf(params), params.snapshot);
      const row = this.repository.find(params.id, params.snapshot, tx.sql);
      if (row === undefined) return;
      this.repository.remove(tx, row.id);
      tx.afterCommit(() => this.events.send('snapshot-deleted', params, { path: ['snapshots', params.snapshot] }));
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the rows are the last to go');
  }
}
