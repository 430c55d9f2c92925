import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceLifecycleEvents } from '../../instance-lifecycle-events.js';
import type { CreateInstanceParams } from '../instance-operation.params.js';

/** The instance is there: the commit point. */
@Injectable()
export class MarkReadyStep extends Step<CreateInstanceParams, void> {
  readonly name = 'mark-ready';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: CreateInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      if (params.start !== true) context.finish(tx);
      const row = this.repository.findByName(params.project, params.name, tx.sql);
      if (row === undefined || row.state === 'Created') return;
      this.repository.setState(tx, row.id, 'Created');
      tx.afterCommit(() => this.events.send('created', params, { context: { 'storage-pool': params.pool, type: params.type } }));
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the rows go with their reservation');
  }
}
