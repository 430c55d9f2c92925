import { Injectable } from '@nestjs/common';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { InstanceHostPower } from '../../instance-host-power.js';
import type { RestoreSnapshotParams } from '../snapshot-operation.params.js';

/** Ends what runs on the files that are about to be replaced; its undo, the last of all, starts it again on what it had. */
@Injectable()
export class StopForRestoreStep extends Step<RestoreSnapshotParams, void> {
  readonly name = 'stop';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly power: InstanceHostPower,
  ) {
    super();
  }

  override async run(_context: StepContext, params: RestoreSnapshotParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (instance !== undefined && this.power.isRunning(instance)) await this.power.kill(instance);
  }

  override async undo(_context: StepContext, params: RestoreSnapshotParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (params.running && instance !== undefined && !this.power.isRunning(instance)) await this.power.start(params.id);
  }
}
