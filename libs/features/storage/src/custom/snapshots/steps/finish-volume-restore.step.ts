import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { VolumeSnapshots } from '#ports';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import { VolumeEvents } from '../../volume-events.js';
import { volumeKeyOf } from '../../volume-operation.params.js';
import { restoreToken, type RestoreVolumeParams } from '../volume-snapshot.params.js';

/** From its transaction on the volume is what the snapshot was; what it held before is dropped, or goes with the next restore, or with the volume. */
@Injectable()
export class FinishVolumeRestoreStep extends Step<RestoreVolumeParams, void> {
  readonly name = 'finish';

  constructor(
    private readonly host: CustomVolumeHost,
    private readonly driver: VolumeSnapshots,
    private readonly runner: TransactionRunner,
    private readonly events: VolumeEvents,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(context: StepContext, params: RestoreVolumeParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      this.events.announce(tx, context.ctx, volumeKeyOf(params), { action: 'storage-volume-restored', context: { snapshot: params.snapshot } });
    });
    try {
      await this.driver.finishRestore(this.host.spec(params), restoreToken(context.operationId));
    } catch (error) {
      this.logger.warn('Failed removing what a volume held before a restore', { volume: params.name, project: params.project, error: messageOf(error) });
    }
  }

  override undo(): Promise<void> {
    return nothingToUndo('what was kept is gone');
  }
}
