import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import type { CopyVolumeParams } from '../copy-volume.params.js';
import { CopiedRows } from '../copied-rows.js';

/** The copy is there: the commit point. */
@Injectable()
export class MarkCopyReadyStep extends Step<CopyVolumeParams, void> {
  readonly name = 'mark-ready';

  constructor(private readonly runner: TransactionRunner, private readonly rows: CopiedRows) {
    super();
  }

  override async run(context: StepContext, params: CopyVolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      this.rows.show(tx, context.ctx, params);
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the rows go with their reservation');
  }
}
