import { Injectable } from '@nestjs/common';
import type { ConfigMap } from '#api-types';
import { conflict, newUuid } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { MemberVolatileStore } from '../../data/member-volatile.store.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { InstanceLogFiles } from '../../instance-logs.service.js';
import { rootVolumeKey, type RenameInstanceParams } from '../instance-operation.params.js';
import { hostName } from '../../instance-urls.js';
import { sorted } from '../../rules/expand.rules.js';
import { templateTrigger } from '../../rules/volatile.rules.js';

/** What was before. */
export interface FormerConfig {
  readonly row: Readonly<ConfigMap>;
  /** What is known of it here alone, where that changed. */
  readonly local: Readonly<ConfigMap> | null;
}

/** The new name becomes the instance's: the commit point. Its next start renders templates for it, and to cloud-init it is another one. */
@Injectable()
export class RenameRowsStep extends Step<RenameInstanceParams, FormerConfig | null> {
  readonly name = 'rename-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly events: InstanceLifecycleEvents,
    private readonly logs: InstanceLogFiles,
    private readonly member: MemberVolatileStore,
  ) {
    super();
  }

  override async run(context: StepContext, params: RenameInstanceParams): Promise<FormerConfig | null> {
    const former = await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.findById(params.id, tx.sql);
      if (row === undefined || row.name === params.newName) return null;
      if (this.repository.findByName(params.project, params.newName, tx.sql)) throw conflict(`Name "${params.newName}" already in use`);
      this.repository.rename(tx, params.id, params.newName);
      const local = this.member.get(params.id).volatile;
      const trigger = templateTrigger(row.config, local, 'rename');
      this.repository.update(tx, params.id, { ...row, config: sorted({ ...row.config, ...trigger, 'volatile.cloud-init.instance-id': newUuid() }) });
      this.volumes.renameInstanceVolume(tx, rootVolumeKey(params, params.name), params.newName);
      const before: FormerConfig = { row: row.config, local: Object.keys(trigger).length === 0 ? null : local };
      context.save(tx, before);
      tx.afterCommit(() => this.member.merge(params.id, trigger));
      tx.afterCommit(() => this.events.send('renamed', { project: params.project, name: params.newName }, { context: { old_name: params.name } }));
      return before;
    });
    await this.logs.dropRecordedOutput(hostName(params));
    return former;
  }

  override async undo(context: StepContext, params: RenameInstanceParams, former: FormerConfig | null | undefined): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findById(params.id, tx.sql);
      if (row?.name !== params.newName) return;
      this.repository.rename(tx, params.id, params.name);
      this.volumes.renameInstanceVolume(tx, rootVolumeKey(params, params.newName), params.name);
      if (!former) return;
      this.repository.update(tx, params.id, { ...row, config: former.row });
      tx.afterCommit(() => { if (former.local !== null) this.member.replace(params.id, former.local); });
    });
  }
}
