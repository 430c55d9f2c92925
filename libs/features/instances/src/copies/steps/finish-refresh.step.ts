import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import { restoreToken } from '../../snapshots/snapshot-operation.params.js';
import { asideName, type RefreshPlan } from '../copy-operation.params.js';

/** Drops what the copy was before. What cannot be dropped now goes with the next refresh, or with the volume. */
@Injectable()
export class FinishRefreshStep extends Step<RefreshPlan, void> {
  readonly name = 'finish';

  constructor(
    private readonly volumes: SnapshotVolumes,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(context: StepContext, params: RefreshPlan): Promise<void> {
    const token = restoreToken(context.operationId);
    const target = rootVolumeKey(params);
    try {
      for (const name of params.drop) await this.volumes.destroy(target, asideName(token, name));
      await this.volumes.finishRestore(target, token);
    } catch (error) {
      this.logger.warn('Failed removing what a copy was before it was refreshed', { instance: params.name, project: params.project, error: messageOf(error) });
    }
  }

  override undo(): Promise<void> {
    return nothingToUndo('what was kept is gone');
  }
}
