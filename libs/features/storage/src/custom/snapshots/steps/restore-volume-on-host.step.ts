import { Injectable } from '@nestjs/common';
import { VolumeSnapshots } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import { restoreToken, type RestoreVolumeParams } from '../volume-snapshot.params.js';

/** Puts a copy of the snapshot in the place of the volume, whose content is kept until all is done. */
@Injectable()
export class RestoreVolumeOnHostStep extends Step<RestoreVolumeParams, void> {
  readonly name = 'restore-on-host';
  override readonly saveOutput = false;

  constructor(private readonly host: CustomVolumeHost, private readonly driver: VolumeSnapshots) {
    super();
  }

  override async run(context: StepContext, params: RestoreVolumeParams): Promise<void> {
    const volume = this.host.spec(params);
    // Nobody writes to it before the last step: it is not restored while running instances use it.
    await this.driver.restoreSnapshot(volume, params.snapshot, restoreToken(context.operationId), false);
    if (params.diskBytes > 0) await this.host.driver.resizeVolume(volume, params.diskBytes);
  }

  override async undo(context: StepContext, params: RestoreVolumeParams): Promise<void> {
    await this.driver.undoRestore(this.host.spec(params), restoreToken(context.operationId));
  }
}
