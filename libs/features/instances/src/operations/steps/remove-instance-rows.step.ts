import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../../data/instance-snapshot.repository.js';
import { MemberVolatileStore } from '../../data/member-volatile.store.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { rootVolumeKey, type DeleteInstanceParams } from '../instance-operation.params.js';

/** The last trace: rows, and what this member remembers. */
@Injectable()
export class RemoveInstanceRowsStep extends Step<DeleteInstanceParams, void> {
  readonly name = 'remove-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly snapshots: InstanceSnapshotRepository,
    private readonly member: MemberVolatileStore,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: DeleteInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.finish(tx);
      const row = this.repository.findById(params.id, tx.sql);
      this.volumes.releaseInstanceVolume(tx, rootVolumeKey(params));
      if (row === undefined) return;
      const snapshots = this.snapshots.listByInstance(params.id, tx.sql).reverse();
      this.repository.remove(tx, params.id);
      tx.afterCommit(() => {
        this.member.forget(params.id);
        for (const snapshot of snapshots) this.events.send('snapshot-deleted', params, { path: ['snapshots', snapshot.name] });
        this.events.send('deleted', params);
      });
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the rows are the last to go');
  }
}
