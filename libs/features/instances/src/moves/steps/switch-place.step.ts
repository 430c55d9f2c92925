import { Injectable } from '@nestjs/common';
import { internal } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { InstanceLogFiles } from '../../instance-logs.service.js';
import { hostName } from '../../instance-urls.js';
import { ArrivingInstance } from '../arriving-instance.js';
import { volumeAt, type RelocateInstanceParams } from '../relocation.params.js';

/** The instance is there: the commit point. */
@Injectable()
export class SwitchPlaceStep extends Step<RelocateInstanceParams, void> {
  readonly name = 'switch-place';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly arriving: ArrivingInstance,
    private readonly volumes: VolumesService,
    private readonly events: InstanceLifecycleEvents,
    private readonly logs: InstanceLogFiles,
  ) {
    super();
  }

  override async run(context: StepContext, params: RelocateInstanceParams): Promise<void> {
    const { id, to, name, project, pool } = params;
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      if (this.arriving.isAt(id, to, tx.sql)) return;
      const row = this.repository.findById(id, tx.sql);
      if (row === undefined) throw internal('Instance not found');
      this.arriving.write(tx, row, params, to, params.snapshots);
      if (pool === to.pool) this.volumes.releaseInstanceVolume(tx, volumeAt(params.type, params));
      tx.afterCommit(() => {
        if (name !== to.name || project !== to.project) this.events.send('renamed', to, { context: { old_name: name } });
        else this.events.send('updated', to);
      });
    });
    if (hostName(params) !== hostName(to)) await this.logs.dropRecordedOutput(hostName(params));
  }

  override undo(): Promise<void> {
    return nothingToUndo('it is there');
  }
}
