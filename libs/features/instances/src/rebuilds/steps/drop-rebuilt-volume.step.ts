import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { restoreToken } from '../../snapshots/snapshot-operation.params.js';
import { asideVolume, type RebuildInstanceParams } from '../rebuild-operation.params.js';

/** What was set aside goes. */
@Injectable()
export class DropRebuiltVolumeStep extends Step<RebuildInstanceParams, void> {
  readonly name = 'drop-former-volume';

  constructor(
    private readonly volumes: VolumesService,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(context: StepContext, params: RebuildInstanceParams): Promise<void> {
    const aside = asideVolume(params, restoreToken(context.operationId));
    try {
      await this.volumes.destroyInstanceVolume(aside);
    } catch (error) {
      this.logger.error('Failed removing the files of a rebuilt instance', { instance: params.name, project: params.project, volume: aside.name, error: messageOf(error) });
    }
  }

  override undo(): Promise<void> {
    return nothingToUndo('what was kept is gone');
  }
}
