import { Injectable } from '@nestjs/common';
import type { ConfigMap } from '#api-types';
import { defineOperation, nothingToUndo, Step, type StepContext } from '#platform/operations';
import { TransactionRunner } from '#platform/database';
import { InstanceDriver } from '#ports';
import { VolumesService } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository, type InstanceRow } from '../data/instance.repository.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceSpecs } from '../instance-specs.js';
import { instanceConflictKey } from '../instance-urls.js';
import { staleLocalKeys } from '../rules/volatile.rules.js';

export interface UpdateInstanceParams {
  readonly project: string;
  readonly name: string;
  /** Both written by the reservation: what the rows said, and what they say now. */
  before: ExpandedInstance | null;
  after: ExpandedInstance | null;
  /** Host-derived keys the request replaced; null when it did not touch them. */
  local: Readonly<ConfigMap> | null;
}

interface Change {
  readonly before: ExpandedInstance;
  readonly after: ExpandedInstance;
}

function changeOf({ before, after }: UpdateInstanceParams): Change | undefined {
  return before === null || after === null ? undefined : { before, after };
}

/** The changed row, written with the operation; its undo brings the former one back. */
@Injectable()
export class WriteInstanceRowStep extends Step<UpdateInstanceParams, void> {
  readonly name = 'write-row';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
  ) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: UpdateInstanceParams): Promise<void> {
    const change = changeOf(params);
    if (change === undefined) return;
    const former: InstanceRow = change.before.row;
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findById(former.id, tx.sql);
      if (row !== undefined) this.repository.update(tx, former.id, former);
    });
  }
}

/** Brings the host, and the volume's quota, in line with the row. */
@Injectable()
export class ApplyOnHostStep extends Step<UpdateInstanceParams, void> {
  readonly name = 'apply-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly volumes: VolumesService,
    private readonly neighbors: InstanceNeighbors,
    private readonly member: MemberVolatileStore,
  ) {
    super();
  }

  override async run(_context: StepContext, params: UpdateInstanceParams): Promise<void> {
    const change = changeOf(params);
    if (change === undefined) return;
    const { id } = change.before.row;
    if (params.local !== null) this.member.replace(id, params.local);
    await this.apply(change.before, change.after);
    const stale = staleLocalKeys(this.member.get(id).volatile, change.after.expandedDevices);
    if (stale.length > 0) this.member.merge(id, Object.fromEntries(stale.map((key) => [key, ''])));
  }

  override async undo(_context: StepContext, params: UpdateInstanceParams): Promise<void> {
    const change = changeOf(params);
    if (change !== undefined && this.catalog.findById(change.before.row.id)) await this.apply(change.after, change.before);
  }

  private async apply(before: ExpandedInstance, after: ExpandedInstance): Promise<void> {
    const [from, to] = [this.specs.rootOf(before), this.specs.rootOf(after)];
    if (from.size !== to.size) await this.volumes.resizeInstanceVolume(this.specs.volumeKey(after), to.size);
    const { volatile } = await this.driver.updateInstance(this.specs.build(before), this.specs.build(after));
    if (Object.keys(volatile).length > 0) this.member.merge(after.row.id, volatile);
    await this.neighbors.ensureLeases(after, before);
  }
}

@Injectable()
export class AnnounceUpdateStep extends Step<UpdateInstanceParams, void> {
  readonly name = 'announce';
  override readonly saveOutput = false;

  constructor(private readonly events: InstanceLifecycleEvents) {
    super();
  }

  override async run(_context: StepContext, params: UpdateInstanceParams): Promise<void> {
    this.events.send('updated', params);
  }

  override undo(): Promise<void> {
    return nothingToUndo('what was told cannot be untold');
  }
}

/** A change that reaches the host: the row first, then the host; a refusal of the host takes the row back. */
export const updateInstance = defineOperation<UpdateInstanceParams>({
  kind: 'instance.update',
  version: 1,
  description: 'Updating instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [WriteInstanceRowStep, ApplyOnHostStep, AnnounceUpdateStep],
});
