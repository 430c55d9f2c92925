import { Injectable } from '@nestjs/common';
import { VolumeSnapshots } from '#ports';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import type { VolumeSnapshotParams } from '../volume-snapshot.params.js';

@Injectable()
export class DestroyVolumeSnapshotOnHostStep extends Step<VolumeSnapshotParams, void> {
  readonly name = 'destroy-on-host';

  constructor(private readonly host: CustomVolumeHost, private readonly driver: VolumeSnapshots) {
    super();
  }

  override async run(_context: StepContext, params: VolumeSnapshotParams): Promise<void> {
    await this.driver.destroySnapshot(this.host.spec(params), params.snapshot);
  }

  override undo(): Promise<void> {
    return nothingToUndo('files cannot come back');
  }
}
