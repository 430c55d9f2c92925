import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { CopiedRows, type VolumeWithSnapshots } from '../copied-rows.js';

/** The volume is there, with its snapshots: the commit point. */
@Injectable()
export class MarkCopyReadyStep extends Step<VolumeWithSnapshots, void> {
  readonly name = 'mark-ready';

  constructor(private readonly runner: TransactionRunner, private readonly rows: CopiedRows) {
    super();
  }

  override async run(context: StepContext, params: VolumeWithSnapshots): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      this.rows.show(tx, context.ctx, params);
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the rows go with their reservation');
  }
}
