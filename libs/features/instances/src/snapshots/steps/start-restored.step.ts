import { Injectable } from '@nestjs/common';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { InstanceHostPower } from '../../instance-host-power.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import { SavedStates } from '../../saved-states/saved-states.service.js';
import type { RestoreSnapshotParams } from '../snapshot-operation.params.js';

/** Tells the world, and starts again what ran: anew, or from the state that came with the snapshot's files, which is of no other use. */
@Injectable()
export class StartRestoredStep extends Step<RestoreSnapshotParams, void> {
  readonly name = 'start';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly power: InstanceHostPower,
    private readonly events: InstanceLifecycleEvents,
    private readonly saved: SavedStates,
  ) {
    super();
  }

  override async run(_context: StepContext, params: RestoreSnapshotParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (instance === undefined) return;
    const starts = (params.running || params.stateful === true) && !this.power.isRunning(instance);
    if (params.stateful !== true) await this.saved.remove(instance);
    if (starts) await this.power.start(params.id, { restoreState: params.stateful === true });
    if (params.stateful === true) await this.saved.remove(instance);
    this.events.send('restored', params, { context: { snapshot: `${params.name}/${params.snapshot}` } });
    if (starts) this.events.send('started', params);
  }

  override async undo(_context: StepContext, params: RestoreSnapshotParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (instance !== undefined && this.power.isRunning(instance)) await this.power.kill(instance);
  }
}
