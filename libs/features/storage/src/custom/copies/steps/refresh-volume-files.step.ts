import { Injectable } from '@nestjs/common';
import { VolumeSnapshots } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import { restoreToken } from '../../snapshots/volume-snapshot.params.js';
import type { RefreshVolumeParams } from '../copy-volume.params.js';
import { VolumeCopies } from '../volume-copies.js';

/** Brings the files up to date and adds the snapshots that are missing; what the volume held before is kept until all is done. */
@Injectable()
export class RefreshVolumeFilesStep extends Step<RefreshVolumeParams, void> {
  readonly name = 'refresh-files';
  override readonly saveOutput = false;

  constructor(private readonly copies: VolumeCopies, private readonly host: CustomVolumeHost, private readonly driver: VolumeSnapshots) {
    super();
  }

  override async run(context: StepContext, params: RefreshVolumeParams): Promise<void> {
    await this.copies.refresh(params, restoreToken(context.operationId), context);
  }

  override async undo(context: StepContext, params: RefreshVolumeParams): Promise<void> {
    const volume = this.host.spec(params);
    await this.driver.undoRestore(volume, restoreToken(context.operationId));
    for (const snapshot of params.added) await this.driver.destroySnapshot(volume, snapshot);
  }
}
