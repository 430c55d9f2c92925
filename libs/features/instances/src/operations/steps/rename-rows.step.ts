import { Injectable } from '@nestjs/common';
import { conflict } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { InstanceLogFiles } from '../../instance-logs.service.js';
import { rootVolumeKey, type RenameInstanceParams } from '../instance-operation.params.js';
import { hostName } from '../../instance-urls.js';

/** The new name becomes the instance's: the commit point. */
@Injectable()
export class RenameRowsStep extends Step<RenameInstanceParams, void> {
  readonly name = 'rename-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly events: InstanceLifecycleEvents,
    private readonly logs: InstanceLogFiles,
  ) {
    super();
  }

  override async run(context: StepContext, params: RenameInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.findById(params.id, tx.sql);
      if (row === undefined || row.name === params.newName) return;
      if (this.repository.findByName(params.project, params.newName, tx.sql)) throw conflict(`Name "${params.newName}" already in use`);
      this.repository.rename(tx, params.id, params.newName);
      this.volumes.renameInstanceVolume(tx, rootVolumeKey(params, params.name), params.newName);
      tx.afterCommit(() => this.events.send('renamed', { project: params.project, name: params.newName }, { context: { old_name: params.name } }));
    });
    await this.logs.dropRecordedOutput(hostName(params));
  }

  override async undo(context: StepContext, params: RenameInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findById(params.id, tx.sql);
      if (row?.name !== params.newName) return;
      this.repository.rename(tx, params.id, params.name);
      this.volumes.renameInstanceVolume(tx, rootVolumeKey(params, params.newName), params.name);
    });
  }
}
