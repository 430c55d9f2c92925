import { Injectable } from '@nestjs/common';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { restoreToken, volumeKeyOf, type RestoreSnapshotParams } from '../snapshot-operation.params.js';

/** Puts a copy of the snapshot in the place of the root volume, whose content is kept. */
@Injectable()
export class RestoreVolumeStep extends Step<RestoreSnapshotParams, void> {
  readonly name = 'restore-volume';
  override readonly saveOutput = false;

  constructor(private readonly volumes: SnapshotVolumes) {
    super();
  }

  override async run(context: StepContext, params: RestoreSnapshotParams): Promise<void> {
    // An instance that is started again writes to its files before it is known whether it does start, and may have to get the former ones back.
    await this.volumes.restore(volumeKeyOf(params), params.snapshot, restoreToken(context.operationId), params.running);
  }

  override async undo(context: StepContext, params: RestoreSnapshotParams): Promise<void> {
    await this.volumes.undoRestore(volumeKeyOf(params), restoreToken(context.operationId));
  }
}
