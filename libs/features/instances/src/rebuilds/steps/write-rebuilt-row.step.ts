import { Injectable } from '@nestjs/common';
import type { ConfigMap } from '#api-types';
import { internal, newUuid } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { Step, type Outputs, type StepContext } from '#platform/operations';
import { InstanceRepository } from '../../data/instance.repository.js';
import { MemberVolatileStore } from '../../data/member-volatile.store.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { sorted } from '../../rules/expand.rules.js';
import type { FormerRow, RebuildImage, RebuildInstanceParams } from '../rebuild-operation.params.js';

/** The row tells of the new image: the commit point. Its next start is a first one, for templates and for cloud-init. */
@Injectable()
export class WriteRebuiltRowStep extends Step<RebuildInstanceParams, FormerRow> {
  readonly name = 'write-row';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly member: MemberVolatileStore,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: RebuildInstanceParams, outputs: Outputs): Promise<FormerRow> {
    const image = outputs['ensure-image'] as RebuildImage;
    const fresh: ConfigMap = { 'volatile.apply_template': 'create', 'volatile.last_state.idmap': '[]' };
    return this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.findById(params.id, tx.sql);
      if (row === undefined) throw internal('Instance not found');
      const kept = Object.fromEntries(Object.entries(row.config).filter(([key]) => !key.startsWith('image.') && key !== 'volatile.base_image'));
      this.repository.update(tx, row.id, { ...row, config: sorted({ ...kept, ...image.config, ...fresh, 'volatile.cloud-init.instance-id': newUuid() }) });
      const former: FormerRow = { config: row.config, local: this.member.get(row.id).volatile };
      context.save(tx, former);
      tx.afterCommit(() => {
        this.member.merge(row.id, fresh);
        this.events.send('updated', params);
      });
      return former;
    });
  }

  override async undo(context: StepContext, params: RebuildInstanceParams, former: FormerRow | undefined): Promise<void> {
    if (former === undefined) return;
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findById(params.id, tx.sql);
      if (row !== undefined) this.repository.update(tx, row.id, { ...row, config: former.config });
      tx.afterCommit(() => this.member.replace(params.id, former.local));
    });
  }
}
