import { Injectable } from '@nestjs/common';
import { wrap } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import type { CreateInstanceParams } from '../instance-operation.params.js';
import { InstanceSpecs } from '../../instance-specs.js';
import { hostName } from '../../instance-urls.js';

/** Links, directories and names on the host, and its NICs' entries in DHCP and DNS. */
@Injectable()
export class CreateOnHostStep extends Step<CreateInstanceParams, void> {
  readonly name = 'create-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(_context: StepContext, params: CreateInstanceParams): Promise<void> {
    const instance = this.catalog.get(params.project, params.name);
    try {
      await this.driver.createInstance(this.specs.build(instance));
      await this.neighbors.ensureLeases(instance);
    } catch (error) {
      throw wrap(error, 'Failed creating instance record: Failed initialising instance');
    }
  }

  override async undo(_context: StepContext, params: CreateInstanceParams): Promise<void> {
    const instance = this.catalog.find(params.project, params.name);
    if (instance) await this.neighbors.removeLeases(instance);
    await this.driver.destroyInstance(hostName(params));
  }
}
