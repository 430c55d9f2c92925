import { Injectable } from '@nestjs/common';
import { conflict, wrap } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type Outputs, type StepContext } from '#platform/operations';
import { SnapshotVolumes, VolumesService } from '#features/storage';
import { hostName } from '../../instance-urls.js';
import { rootVolumeKey } from '../../operations/instance-operation.params.js';
import { restoreToken } from '../../snapshots/snapshot-operation.params.js';
import { asideVolume, type RebuildImage, type RebuildInstanceParams } from '../rebuild-operation.params.js';

/** Sets the volume aside and makes another under its name. */
@Injectable()
export class RebuildVolumeStep extends Step<RebuildInstanceParams, void> {
  readonly name = 'rebuild-volume';
  // Making the volume again removes what a dead process had begun.
  override readonly saveOutput = false;

  constructor(
    private readonly volumes: VolumesService,
    private readonly snapshots: SnapshotVolumes,
    private readonly driver: InstanceDriver,
  ) {
    super();
  }

  override async run(context: StepContext, params: RebuildInstanceParams, outputs: Outputs): Promise<void> {
    const { fingerprint } = outputs['ensure-image'] as RebuildImage;
    const [status] = await this.driver.describeStatus([hostName(params)]);
    if (status !== undefined && status.power !== 'Stopped') throw conflict('Instance must be stopped to be rebuilt');
    const [volume, aside] = [rootVolumeKey(params), asideVolume(params, restoreToken(context.operationId))];
    try {
      if (!(await this.snapshots.isThere(aside))) await this.volumes.moveOnHost(volume, aside);
      await this.volumes.createInstanceVolume(context.ctx, { ...volume, imageFingerprint: fingerprint, size: params.size });
    } catch (error) {
      throw wrap(error, 'Failed rebuilding instance');
    }
  }

  override async undo(context: StepContext, params: RebuildInstanceParams): Promise<void> {
    const [volume, aside] = [rootVolumeKey(params), asideVolume(params, restoreToken(context.operationId))];
    if (!(await this.snapshots.isThere(aside))) return;
    await this.volumes.destroyInstanceVolume(volume);
    await this.volumes.moveOnHost(aside, volume);
  }
}
