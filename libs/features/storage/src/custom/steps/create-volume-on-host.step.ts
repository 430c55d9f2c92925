import { Injectable } from '@nestjs/common';
import { Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../custom-volume-host.js';
import type { CreateVolumeParams } from '../volume-operation.params.js';

/** An empty volume. */
@Injectable()
export class CreateVolumeOnHostStep extends Step<CreateVolumeParams, void> {
  readonly name = 'create-on-host';
  override readonly saveOutput = false;

  constructor(private readonly host: CustomVolumeHost) {
    super();
  }

  override async run(_context: StepContext, params: CreateVolumeParams): Promise<void> {
    await this.host.driver.createVolume({ volume: this.host.spec(params), imageFingerprint: '', sizeBytes: params.sizeBytes });
  }

  override async undo(_context: StepContext, params: CreateVolumeParams): Promise<void> {
    await this.host.destroy(params);
  }
}
