import { Injectable } from '@nestjs/common';
import { internal } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { InstanceHostPower } from '../../instance-host-power.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import type { CreateInstanceParams } from '../instance-operation.params.js';

/** Starts what was just made. */
@Injectable()
export class StartCreatedStep extends Step<CreateInstanceParams, void> {
  readonly name = 'start';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly power: InstanceHostPower,
    private readonly events: InstanceLifecycleEvents,
    private readonly runner: TransactionRunner,
  ) {
    super();
  }

  override async run(context: StepContext, params: CreateInstanceParams): Promise<void> {
    const instance = this.catalog.find(params.project, params.name);
    if (instance === undefined) throw internal('Instance not found');
    if (!this.power.isRunning(instance)) {
      await this.power.start(instance.row.id);
      this.events.send('started', params, { requestor: context.ctx.requestor });
    }
    await this.runner.run(context.ctx, (tx) => context.finish(tx));
  }

  override async undo(_context: StepContext, params: CreateInstanceParams): Promise<void> {
    const instance = this.catalog.find(params.project, params.name);
    if (instance !== undefined && this.power.isRunning(instance)) await this.power.kill(instance);
  }
}
