import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { InstanceSnapshotRepository } from '../../data/instance-snapshot.repository.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import type { SnapshotParams } from '../snapshot-operation.params.js';

/** The snapshot is there: the commit point. */
@Injectable()
export class MarkSnapshotReadyStep extends Step<SnapshotParams, void> {
  readonly name = 'mark-ready';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceSnapshotRepository,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: SnapshotParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.find(params.id, params.snapshot, tx.sql);
      if (row === undefined || row.state === 'Created') return;
      this.repository.setState(tx, row.id, 'Created');
      tx.afterCommit(() => this.events.send('snapshot-created', params, { path: ['snapshots', params.snapshot] }));
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the rows go with their reservation');
  }
}
