import { Injectable } from '@nestjs/common';
import { internal } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog, type ExpandedInstance } from '../../data/instance.catalog.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import { InstanceSpecs } from '../../instance-specs.js';
import { ArrivingInstance } from '../arriving-instance.js';
import type { RelocateInstanceParams } from '../relocation.params.js';

/** Links, logs and names on the host, and its NICs' entries in DHCP and DNS. */
@Injectable()
export class RelocateOnHostStep extends Step<RelocateInstanceParams, void> {
  readonly name = 'relocate-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly arriving: ArrivingInstance,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(_context: StepContext, params: RelocateInstanceParams): Promise<void> {
    const before = this.catalog.findById(params.id);
    if (before === undefined) throw internal('Instance not found');
    await this.rename(before, this.arriving.at(before.row, params.to));
  }

  override async undo(_context: StepContext, params: RelocateInstanceParams): Promise<void> {
    const before = this.catalog.findById(params.id);
    if (before !== undefined && !this.arriving.isAt(params.id, params.to)) await this.rename(this.arriving.at(before.row, params.to), before);
  }

  private async rename(from: ExpandedInstance, to: ExpandedInstance): Promise<void> {
    await this.driver.renameInstance(this.specs.build(from), this.specs.build(to));
    await this.neighbors.removeLeases(from);
    await this.neighbors.ensureLeases(to);
  }
}
