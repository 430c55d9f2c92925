import { Injectable } from '@nestjs/common';
import { conflict } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { InstanceSnapshotRepository } from '../../data/instance-snapshot.repository.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { volumeKeyOf, type RenameSnapshotParams } from '../snapshot-operation.params.js';

/** The new name becomes the snapshot's: the commit point. */
@Injectable()
export class RenameSnapshotRowsStep extends Step<RenameSnapshotParams, void> {
  readonly name = 'rename-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceSnapshotRepository,
    private readonly volumes: SnapshotVolumes,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: RenameSnapshotParams): Promise<void> {
    const { id, snapshot, newName } = params;
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.find(id, snapshot, tx.sql);
      if (row === undefined) return;
      if (this.repository.find(id, newName, tx.sql)) throw conflict(`Name '${params.name}/${newName}' already in use`);
      this.repository.rename(tx, row.id, newName);
      this.volumes.renameRow(tx, volumeKeyOf(params), snapshot, newName);
      tx.afterCommit(() => this.events.send('snapshot-renamed', params, { path: ['snapshots', newName], context: { old_name: snapshot } }));
    });
  }

  override async undo(context: StepContext, params: RenameSnapshotParams): Promise<void> {
    const { id, snapshot, newName } = params;
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.find(id, newName, tx.sql);
      if (row === undefined || this.repository.find(id, snapshot, tx.sql)) return;
      this.repository.rename(tx, row.id, snapshot);
      this.volumes.renameRow(tx, volumeKeyOf(params), newName, snapshot);
    });
  }
}
