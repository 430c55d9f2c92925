import { Injectable } from '@nestjs/common';
import { InstanceDriver } from '#ports';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import { hostName } from '../../instance-urls.js';
import { formerVolume, type DiscardInstanceParams } from '../move-operation.params.js';

/** Takes apart what this host had of an instance that is elsewhere now. */
@Injectable()
export class DiscardOnHostStep extends Step<DiscardInstanceParams, void> {
  readonly name = 'discard-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
    private readonly volumes: VolumesService,
  ) {
    super();
  }

  override async run(_context: StepContext, params: DiscardInstanceParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    // Its addresses belong to it wherever it is; this member's DHCP and DNS are not where it asks any more.
    if (instance !== undefined && !this.catalog.isLocal(instance)) await this.neighbors.removeLeases({ ...instance, row: { ...instance.row, project: params.project, name: params.name } });
    await this.driver.destroyInstance(hostName(params));
    await this.volumes.destroyInstanceVolume(formerVolume(params));
  }

  override undo(): Promise<void> {
    return nothingToUndo('the instance is elsewhere');
  }
}
