import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { InstanceRepository, type InstanceRow } from '../../data/instance.repository.js';
import { changeOf, type UpdateInstanceParams } from '../instance-operation.params.js';

/** The changed row, written with the operation; its undo brings the former one back. */
@Injectable()
export class WriteInstanceRowStep extends Step<UpdateInstanceParams, void> {
  readonly name = 'write-row';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
  ) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: UpdateInstanceParams): Promise<void> {
    const change = changeOf(params);
    if (change === undefined) return;
    const former: InstanceRow = change.before.row;
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findById(former.id, tx.sql);
      if (row !== undefined) this.repository.update(tx, former.id, former);
    });
  }
}
