import { Injectable } from '@nestjs/common';
import { Database } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesRepository } from '../../../data/volumes.repository.js';
import { CustomVolumeHost } from '../../custom-volume-host.js';
import { volumeKeyOf } from '../../volume-operation.params.js';
import type { CopyVolumeParams } from '../copy-volume.params.js';
import { VolumeCopies } from '../volume-copies.js';

/** The files, with the snapshots that go along. */
@Injectable()
export class CopyVolumeFilesStep extends Step<CopyVolumeParams, void> {
  readonly name = 'copy-files';
  // A copy that is there is whole and is not made again.
  override readonly saveOutput = false;

  constructor(
    private readonly copies: VolumeCopies,
    private readonly host: CustomVolumeHost,
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
  ) {
    super();
  }

  override async run(context: StepContext, params: CopyVolumeParams): Promise<void> {
    await this.copies.copy(params, context);
  }

  override async undo(_context: StepContext, params: CopyVolumeParams): Promise<void> {
    if (params.move && this.volumes.find(this.database.read, volumeKeyOf(params))?.state === 'Created') return;
    await this.host.destroy(params);
  }
}
