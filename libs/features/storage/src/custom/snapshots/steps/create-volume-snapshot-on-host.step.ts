import { Injectable } from '@nestjs/common';
import { VolumeSnapshots } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import type { VolumeSnapshotParams } from '../volume-snapshot.params.js';

/** A copy of the files as they are now. */
@Injectable()
export class CreateVolumeSnapshotOnHostStep extends Step<VolumeSnapshotParams, void> {
  readonly name = 'create-on-host';
  // Making it again removes what a dead process had begun.
  override readonly saveOutput = false;

  constructor(private readonly host: CustomVolumeHost, private readonly driver: VolumeSnapshots) {
    super();
  }

  override async run(_context: StepContext, params: VolumeSnapshotParams): Promise<void> {
    await this.driver.createSnapshot(this.host.spec(params), params.snapshot);
  }

  override async undo(_context: StepContext, params: VolumeSnapshotParams): Promise<void> {
    await this.driver.destroySnapshot(this.host.spec(params), params.snapshot);
  }
}
