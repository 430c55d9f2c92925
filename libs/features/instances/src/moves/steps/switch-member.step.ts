import { Injectable } from '@nestjs/common';
import { conflict, LocalMember } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, OperationsService, Step, type Outputs, type StepContext } from '#platform/operations';
import { InstanceRepository } from '../../data/instance.repository.js';
import { MemberVolatileStore, type MemberState } from '../../data/member-volatile.store.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { travellingVolatile } from '../../rules/volatile.rules.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import { InstanceRows } from '../../instance-rows.service.js';
import { ArrivingInstance } from '../arriving-instance.js';
import { discardInstance } from '../discard-instance.operation.js';
import { newPlace, type MoveInstanceParams } from '../move-operation.params.js';

/** The instance is here, no longer there, and what is left there is that member's to remove: one transaction, the commit point and the end. */
@Injectable()
export class SwitchMemberStep extends Step<MoveInstanceParams, void> {
  readonly name = 'switch-member';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly operations: OperationsService,
    private readonly member: MemberVolatileStore,
    private readonly events: InstanceLifecycleEvents,
    private readonly self: LocalMember,
    private readonly arriving: ArrivingInstance,
    private readonly rows: InstanceRows,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(context: StepContext, params: MoveInstanceParams, outputs: Outputs): Promise<void> {
    const { id, from, epoch, project, name, type, pool, to } = params;
    const { idmap } = await this.neighbors.hostDescription();
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.findById(id, tx.sql);
      if (row?.memberId === this.self.id && row.placementEpoch === epoch + 1) return context.finish(tx);
      if (row === undefined || row.memberId !== from || row.placementEpoch !== epoch) throw conflict('Instance has changed its place');
      if (to !== undefined) this.arriving.write(tx, row, params, to, params.snapshots);
      this.repository.place(tx, id, this.self.id, epoch + 1);
      this.rows.settleIdmap(tx, this.repository.findById(id, tx.sql)!, idmap);
      this.operations.delegate(tx, context.ctx, discardInstance.kind, { id, project, name, type, pool }, { memberId: from, resources: {} });
      context.finish(tx);
      tx.afterCommit(() => {
        const local = outputs['pull-volume'] as MemberState;
        this.member.replace(id, travellingVolatile(local.volatile));
        if (local.lastUsedAt !== '') this.member.merge(id, {}, local.lastUsedAt);
        this.events.send('updated', newPlace(params));
      });
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('nothing follows it that could fail');
  }
}
