import { Injectable } from '@nestjs/common';
import { conflict } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { rootVolumeKey, type RenameInstanceParams } from '../instance-operation.params.js';
import { hostName } from '../../instance-urls.js';

/** Moves the volume of a stopped instance. */
@Injectable()
export class RenameRootVolumeStep extends Step<RenameInstanceParams, void> {
  readonly name = 'rename-root-volume';
  override readonly saveOutput = false;

  constructor(
    private readonly driver: InstanceDriver,
    private readonly volumes: VolumesService,
  ) {
    super();
  }

  override async run(_context: StepContext, params: RenameInstanceParams): Promise<void> {
    for (const name of [params.name, params.newName]) {
      const [status] = await this.driver.describeStatus([hostName({ project: params.project, name })]);
      if (status !== undefined && status.power !== 'Stopped') throw conflict('Renaming of running container not allowed');
    }
    await this.volumes.renameOnHost(rootVolumeKey(params, params.name), params.newName);
  }

  override async undo(_context: StepContext, params: RenameInstanceParams): Promise<void> {
    await this.volumes.renameOnHost(rootVolumeKey(params, params.newName), params.name);
  }
}
