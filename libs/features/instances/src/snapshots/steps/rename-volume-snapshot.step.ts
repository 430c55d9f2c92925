import { Injectable } from '@nestjs/common';
import { wrap } from '#kernel';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { volumeKeyOf, type RenameSnapshotParams } from '../snapshot-operation.params.js';

@Injectable()
export class RenameVolumeSnapshotStep extends Step<RenameSnapshotParams, void> {
  readonly name = 'rename-volume-snapshot';
  override readonly saveOutput = false;

  constructor(private readonly volumes: SnapshotVolumes) {
    super();
  }

  override async run(_context: StepContext, params: RenameSnapshotParams): Promise<void> {
    try {
      await this.volumes.rename(volumeKeyOf(params), params.snapshot, params.newName);
    } catch (error) {
      throw wrap(error, 'Rename instance snapshot');
    }
  }

  override async undo(_context: StepContext, params: RenameSnapshotParams): Promise<void> {
    await this.volumes.rename(volumeKeyOf(params), params.newName, params.snapshot);
  }
}
