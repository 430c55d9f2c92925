import { Injectable } from '@nestjs/common';
import { Logger, messageOf } from '#kernel';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { SavedStates } from '../../saved-states/saved-states.service.js';
import { restoreToken, volumeKeyOf, type RestoreSnapshotParams } from '../snapshot-operation.params.js';

/** Drops what the instance was before. What cannot be dropped now goes with the next restore, or with the volume. */
@Injectable()
export class FinishRestoreStep extends Step<RestoreSnapshotParams, void> {
  readonly name = 'finish';

  constructor(
    private readonly volumes: SnapshotVolumes,
    private readonly catalog: InstanceCatalog,
    private readonly saved: SavedStates,
    private readonly logger: Logger,
  ) {
    super();
  }

  override async run(context: StepContext, params: RestoreSnapshotParams): Promise<void> {
    // The state it was stopped with went with its files.
    const instance = this.catalog.findById(params.id);
    if (instance?.row.stateful === true) await this.saved.forget(context.ctx, instance);
    try {
      await this.volumes.finishRestore(volumeKeyOf(params), restoreToken(context.operationId));
    } catch (error) {
      this.logger.warn('Failed removing what an instance held before a restore', { instance: params.name, project: params.project, error: messageOf(error) });
    }
  }

  override undo(): Promise<void> {
    return nothingToUndo('what was kept is gone');
  }
}
