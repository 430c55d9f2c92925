import { Injectable } from '@nestjs/common';
import { AppError } from '#kernel';
import { Step, type StepContext } from '#platform/operations';
import { CustomVolumeHost, diskName } from '../custom-volume-host.js';
import type { RenameVolumeParams } from '../volume-operation.params.js';

/** The files, with their snapshots. */
@Injectable()
export class RenameVolumeOnHostStep extends Step<RenameVolumeParams, void> {
  readonly name = 'rename-on-host';
  override readonly saveOutput = false;

  constructor(private readonly host: CustomVolumeHost) {
    super();
  }

  override async run(_context: StepContext, params: RenameVolumeParams): Promise<void> {
    await this.host.driver.renameVolume(this.host.spec(params), diskName(params.project, params.newName));
  }

  override async undo(_context: StepContext, params: RenameVolumeParams): Promise<void> {
    try {
      await this.host.driver.renameVolume(this.host.spec({ ...params, name: params.newName }), diskName(params.project, params.name));
    } catch (error) {
      // It never got the new name.
      if (!AppError.is(error, 'not-found')) throw error;
    }
  }
}
