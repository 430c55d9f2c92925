import { Injectable } from '@nestjs/common';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { MemberVolatileStore } from '../../data/member-volatile.store.js';
import { changeOf, type UpdateInstanceParams } from '../instance-operation.params.js';
import { InstanceChangeParts } from '../../instance-change-parts.js';
import { staleLocalKeys } from '../../rules/volatile.rules.js';

/** Brings the host, and the volume's quota, in line with the row. */
@Injectable()
export class ApplyOnHostStep extends Step<UpdateInstanceParams, void> {
  readonly name = 'apply-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly changes: InstanceChangeParts,
    private readonly member: MemberVolatileStore,
  ) {
    super();
  }

  override async run(_context: StepContext, params: UpdateInstanceParams): Promise<void> {
    const change = changeOf(params);
    if (change === undefined) return;
    const { id } = change.before.row;
    if (params.local !== null) this.member.replace(id, params.local);
    await this.changes.applyOnHost(change.before, change.after);
    const stale = staleLocalKeys(this.member.get(id).volatile, change.after.expandedDevices);
    if (stale.length > 0) this.member.merge(id, Object.fromEntries(stale.map((key) => [key, ''])));
  }

  override async undo(_context: StepContext, params: UpdateInstanceParams): Promise<void> {
    const change = changeOf(params);
    if (change !== undefined && this.catalog.findById(change.before.row.id)) await this.changes.applyOnHost(change.after, change.before);
  }
}
