import { Injectable } from '@nestjs/common';
import { AppError } from '#kernel';
import { VolumeSnapshots } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import type { RenameVolumeSnapshotParams } from '../volume-snapshot.params.js';

@Injectable()
export class RenameVolumeSnapshotOnHostStep extends Step<RenameVolumeSnapshotParams, void> {
  readonly name = 'rename-on-host';
  override readonly saveOutput = false;

  constructor(private readonly host: CustomVolumeHost, private readonly driver: VolumeSnapshots) {
    super();
  }

  override async run(_context: StepContext, params: RenameVolumeSnapshotParams): Promise<void> {
    await this.driver.renameSnapshot(this.host.spec(params), params.snapshot, params.newName);
  }

  override async undo(_context: StepContext, params: RenameVolumeSnapshotParams): Promise<void> {
    try {
      await this.driver.renameSnapshot(this.host.spec(params), params.newName, params.snapshot);
    } catch (error) {
      // It never got the new name.
      if (!AppError.is(error, 'not-found')) throw error;
    }
  }
}
