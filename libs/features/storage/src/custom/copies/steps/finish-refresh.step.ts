import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { VolumeSnapshots } from '#ports';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import { restoreToken } from '../../snapshots/volume-snapshot.params.js';
import type { RefreshedVolumeParams } from '../copy-volume.params.js';
import { CopiedRows } from '../copied-rows.js';

/** From its transaction on the volume is as fresh as its source; then what it held before goes, and the snapshots the source has no more. */
@Injectable()
export class FinishRefreshStep extends Step<RefreshedVolumeParams, void> {
  readonly name = 'finish';

  constructor(
    private readonly host: CustomVolumeHost,
    private readonly driver: VolumeSnapshots,
    private readonly runner: TransactionRunner,
    private readonly rows: CopiedRows,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(context: StepContext, params: RefreshedVolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      this.rows.refresh(tx, context.ctx, params);
    });
    try {
      const volume = this.host.spec(params);
      for (const snapshot of params.stale) await this.driver.destroySnapshot(volume, snapshot);
      await this.driver.finishRestore(volume, restoreToken(context.operationId));
    } catch (error) {
      this.logger.warn('Failed removing what a volume held before it was refreshed', { volume: params.name, project: params.project, error: messageOf(error) });
    }
  }

  override undo(): Promise<void> {
    return nothingToUndo('what was kept is gone');
  }
}
