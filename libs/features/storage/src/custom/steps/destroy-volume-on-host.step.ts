import { Injectable } from '@nestjs/common';
import { nothingToUndo, Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../custom-volume-host.js';
import type { VolumeParams } from '../volume-operation.params.js';

/** The files, snapshots included. A host that refuses has them as before. */
@Injectable()
export class DestroyVolumeOnHostStep extends Step<VolumeParams, void> {
  readonly name = 'destroy-on-host';

  constructor(private readonly host: CustomVolumeHost) {
    super();
  }

  override async run(_context: StepContext, params: VolumeParams): Promise<void> {
    await this.host.destroy(params);
  }

  override undo(): Promise<void> {
    return nothingToUndo('files cannot come back');
  }
}
