import { Injectable } from '@nestjs/common';
import { internal } from '#kernel';
import { InstanceDriver, type InstanceSpec } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog, type ExpandedInstance } from '../../data/instance.catalog.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import type { RenameInstanceParams } from '../instance-operation.params.js';
import { InstanceSpecs } from '../../instance-specs.js';

/** Links, logs and names on the host, and its NICs' entries in DHCP and DNS. */
@Injectable()
export class RenameOnHostStep extends Step<RenameInstanceParams, void> {
  readonly name = 'rename-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(_context: StepContext, params: RenameInstanceParams): Promise<void> {
    const { before, after } = this.specsOf(params);
    await this.driver.renameInstance(before.spec, after.spec);
    await this.neighbors.removeLeases(before.instance);
    await this.neighbors.ensureLeases(after.instance);
  }

  override async undo(_context: StepContext, params: RenameInstanceParams): Promise<void> {
    const { before, after } = this.specsOf(params);
    await this.driver.renameInstance(after.spec, before.spec);
    await this.neighbors.removeLeases(after.instance);
    await this.neighbors.ensureLeases(before.instance);
  }

  private specsOf({ id, name, newName }: RenameInstanceParams): Record<'before' | 'after', { instance: ExpandedInstance; spec: InstanceSpec }> {
    const instance = this.catalog.findById(id);
    if (instance === undefined) throw internal('Instance not found');
    const named = (to: string): { instance: ExpandedInstance; spec: InstanceSpec } => {
      const other = { ...instance, row: { ...instance.row, name: to } };
      return { instance: other, spec: this.specs.build(other) };
    };
    return { before: named(name), after: named(newName) };
  }
}
