import { Injectable } from '@nestjs/common';
import { Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../custom-volume-host.js';
import type { UpdateVolumeParams } from '../volume-operation.params.js';

/** The quota of files, the size of a disk. A disk that has grown stays so: shrinking it could cut something off. */
@Injectable()
export class ResizeVolumeStep extends Step<UpdateVolumeParams, void> {
  readonly name = 'resize';
  override readonly saveOutput = false;

  constructor(private readonly host: CustomVolumeHost) {
    super();
  }

  override async run(_context: StepContext, params: UpdateVolumeParams): Promise<void> {
    await this.host.driver.resizeVolume(this.host.spec(params), params.sizeBytes);
  }

  override async undo(_context: StepContext, params: UpdateVolumeParams): Promise<void> {
    if (params.contentType === 'filesystem') await this.host.driver.resizeVolume(this.host.spec(params), params.formerSizeBytes);
  }
}
