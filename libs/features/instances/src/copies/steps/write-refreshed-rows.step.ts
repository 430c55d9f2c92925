import { Injectable } from '@nestjs/common';
import { internal } from '#kernel';
import { TransactionRunner, type Tx } from '#platform/database';
import { Step, type Outputs, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceSnapshotRepository, type NewSnapshot } from '../../data/instance-snapshot.repository.js';
import { MemberVolatileStore } from '../../data/member-volatile.store.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import { sorted } from '../../rules/expand.rules.js';
import { templateTrigger } from '../../rules/volatile.rules.js';
import type { RefreshedRows, RefreshPlan } from '../copy-operation.params.js';

const idmapKey = 'volatile.last_state.idmap';

/** The rows say what the copy is now: the commit point. */
@Injectable()
export class WriteRefreshedRowsStep extends Step<RefreshPlan, RefreshedRows> {
  readonly name = 'write-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly instances: InstanceRepository,
    private readonly repository: InstanceSnapshotRepository,
    private readonly volumes: SnapshotVolumes,
    private readonly member: MemberVolatileStore,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: RefreshPlan, outputs: Outputs): Promise<RefreshedRows> {
    const { id, bring, drop } = params;
    const idmap = (outputs['refresh-volume'] as string) || '[]';
    return this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.instances.findById(id, tx.sql);
      if (row === undefined) throw internal('Instance not found');
      // Asked twice, the first time counts: what it dropped are no longer the rows of these names.
      const known = this.repository.listByInstance(id, tx.sql);
      const dropped = known.filter((one) => drop.includes(one.name) && !bring.some((other) => other.name === one.name && other.createdAt === one.createdAt));
      this.remove(tx, params, dropped.map(({ name }) => name));
      this.insert(tx, params, bring.filter((one) => this.repository.find(id, one.name, tx.sql) === undefined));
      const local = this.member.get(id).volatile;
      const changed = { ...templateTrigger(row.config, local, 'copy'), [idmapKey]: idmap };
      this.instances.update(tx, row.id, { ...row, config: sorted({ ...row.config, ...changed }) });
      const rows: RefreshedRows = { dropped, formerConfig: row.config, formerLocal: local };
      context.save(tx, rows);
      tx.afterCommit(() => {
        // What this member knows lies over the row.
        this.member.merge(id, changed);
        for (const { name } of dropped) this.events.send('snapshot-deleted', params, { path: ['snapshots', name] });
        for (const { name } of bring) this.events.send('snapshot-created', params, { path: ['snapshots', name] });
      });
      return rows;
    });
  }

  override async undo(context: StepContext, params: RefreshPlan, output: RefreshedRows | undefined): Promise<void> {
    if (output === undefined) return;
    await this.runner.run(context.ctx, (tx) => {
      const row = this.instances.findById(params.id, tx.sql);
      if (row === undefined) return;
      this.remove(tx, params, params.bring.map(({ name }) => name));
      this.insert(tx, params, output.dropped.filter((one) => this.repository.find(params.id, one.name, tx.sql) === undefined));
      this.instances.update(tx, row.id, { ...row, config: output.formerConfig });
      tx.afterCommit(() => this.member.replace(params.id, output.formerLocal));
    });
  }

  private remove(tx: Tx, params: RefreshPlan, names: readonly string[]): void {
    for (const name of names) {
      this.volumes.release(tx, rootVolumeKey(params), name);
      const row = this.repository.find(params.id, name, tx.sql);
      if (row !== undefined) this.repository.remove(tx, row.id);
    }
  }

  private insert(tx: Tx, params: RefreshPlan, snapshots: readonly NewSnapshot[]): void {
    for (const snapshot of snapshots) {
      this.repository.insert(tx, params.id, snapshot, 'Created');
      this.volumes.reserve(tx, rootVolumeKey(params), snapshot);
    }
  }
}
