import { Injectable } from '@nestjs/common';
import { conflict, isTrue } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import type { DeleteInstanceParams } from '../instance-operation.params.js';
import { InstanceSpecs } from '../../instance-specs.js';
import { hostName } from '../../instance-urls.js';

/** Asks whether it may go, and makes sure that nothing starts it meanwhile: the host refuses what it no longer knows. */
@Injectable()
export class DestroyOnHostStep extends Step<DeleteInstanceParams, void> {
  readonly name = 'destroy-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(_context: StepContext, params: DeleteInstanceParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (instance && isTrue(instance.expandedConfig['security.protection.delete'])) {
      throw conflict(params.type === 'container' ? 'Container is protected' : 'Instance is protected');
    }
    // The host itself refuses one that runs.
    await this.driver.destroyInstance(hostName(params));
    if (instance) await this.neighbors.removeLeases(instance);
  }

  /** A refused deletion leaves a usable instance: making it known to the host again is harmless when it still is. */
  override async undo(_context: StepContext, params: DeleteInstanceParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (!instance) return;
    await this.driver.createInstance(this.specs.build(instance));
    await this.neighbors.ensureLeases(instance);
  }
}
