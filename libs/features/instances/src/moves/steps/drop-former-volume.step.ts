import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { TransactionRunner } from '#platform/database';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { volumeAt, type RelocateInstanceParams } from '../relocation.params.js';

/** What is left in the pool it came from. Its row is the last to go: as long as there are files, nothing of that name is made there. */
@Injectable()
export class DropFormerVolumeStep extends Step<RelocateInstanceParams, void> {
  readonly name = 'drop-former-volume';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesService,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(context: StepContext, params: RelocateInstanceParams): Promise<void> {
    if (params.pool === params.to.pool) return;
    const former = volumeAt(params.type, params);
    try {
      await this.volumes.destroyInstanceVolume(former);
    } catch (error) {
      this.logger.error('Failed removing what a moved instance has left in its former pool', { instance: params.name, project: params.project, pool: params.pool, error: messageOf(error) });
      return;
    }
    await this.runner.run(context.ctx, (tx) => {
      this.volumes.releaseInstanceVolume(tx, former);
      context.finish(tx);
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('it is elsewhere');
  }
}
