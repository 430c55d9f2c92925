import { Injectable } from '@nestjs/common';
import { conflict, LocalMember } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog, type ExpandedInstance } from '../../data/instance.catalog.js';
import { InstanceNeighbors } from '../../instance-neighbors.js';
import { InstanceSpecs } from '../../instance-specs.js';
import { hostName } from '../../instance-urls.js';
import { ArrivingInstance } from '../arriving-instance.js';
import { newPlace, type MoveInstanceParams } from '../move-operation.params.js';

/** Makes the instance known to this host, and its addresses to this member's DHCP, before it is here: nothing remains to fail afterwards. */
@Injectable()
export class PrepareMovedInstanceStep extends Step<MoveInstanceParams, void> {
  readonly name = 'prepare-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
    private readonly self: LocalMember,
    private readonly place: ArrivingInstance,
  ) {
    super();
  }

  override async run(_context: StepContext, params: MoveInstanceParams): Promise<void> {
    const instance = this.arriving(params);
    if (instance === undefined) throw conflict('Instance not found');
    await this.driver.createInstance(this.specs.build(instance));
    await this.neighbors.ensureLeases(instance);
  }

  override async undo(_context: StepContext, params: MoveInstanceParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (instance !== undefined && this.catalog.isLocal(instance)) return;
    if (instance !== undefined) await this.neighbors.removeLeases(this.arriving(params) ?? instance);
    await this.driver.destroyInstance(hostName(newPlace(params)));
  }

  /** As it will be once it is here. */
  private arriving(params: MoveInstanceParams): ExpandedInstance | undefined {
    const known = this.catalog.findById(params.id);
    const instance = known && params.to ? this.place.at(known.row, params.to) : known;
    return instance && { ...instance, row: { ...instance.row, memberId: this.self.id, placementEpoch: params.epoch + 1 } };
  }
}
