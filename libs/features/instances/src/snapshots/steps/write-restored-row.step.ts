import { Injectable } from '@nestjs/common';
import { internal } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../../data/instance-snapshot.repository.js';
import { MemberVolatileStore } from '../../data/member-volatile.store.js';
import { InstanceChangeParts } from '../../instance-change-parts.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import { InstanceRows } from '../../instance-rows.service.js';
import { restoredConfig } from '../../rules/volatile.rules.js';
import type { RestoredRow, RestoreSnapshotParams } from '../snapshot-operation.params.js';

/** The configuration of the snapshot becomes the instance's, checked as any change is: the commit point. */
@Injectable()
export class WriteRestoredRowStep extends Step<RestoreSnapshotParams, RestoredRow> {
  readonly name = 'write-row';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly snapshots: InstanceSnapshotRepository,
    private readonly rows: InstanceRows,
    private readonly neighbors: InstanceNeighbors,
    private readonly member: MemberVolatileStore,
    private readonly changes: InstanceChangeParts,
  ) {
    super();
  }

  override async run(context: StepContext, params: RestoreSnapshotParams): Promise<RestoredRow> {
    const { idmap } = await this.neighbors.hostDescription();
    return this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.findById(params.id, tx.sql);
      const snapshot = this.snapshots.find(params.id, params.snapshot, tx.sql);
      if (row === undefined || snapshot === undefined) throw internal('Instance not found');
      const formerLocal = this.member.get(params.id).volatile;
      const change = this.rows.update(tx, row, {
        architecture: row.architecture, ephemeral: row.ephemeral, description: snapshot.description, profiles: row.profiles,
        config: restoredConfig(snapshot.config, formerLocal), devices: snapshot.devices,
      }, idmap, false);
      const output: RestoredRow = { before: change.before, after: change.after, formerLocal, local: change.local ?? formerLocal };
      context.save(tx, output);
      tx.afterCommit(() => this.member.replace(params.id, output.local));
      return output;
    });
  }

  /** With the former row what follows it comes back: the next step cannot know what it was. */
  override async undo(context: StepContext, params: RestoreSnapshotParams, output: RestoredRow | undefined): Promise<void> {
    if (output === undefined) return;
    await this.runner.run(context.ctx, (tx) => {
      if (this.repository.findById(params.id, tx.sql) !== undefined) this.repository.update(tx, params.id, output.before.row);
    });
    this.member.replace(params.id, output.formerLocal);
    await this.changes.applyOnHost(output.after, output.before);
  }
}
