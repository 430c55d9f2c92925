import { Injectable } from '@nestjs/common';
import { wrap } from '#kernel';
import { Step, type Outputs, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { rootVolumeKey, type CreateInstanceParams, type EnsuredImage } from '../instance-operation.params.js';

/** Fills the reserved root volume. */
@Injectable()
export class CreateRootVolumeStep extends Step<CreateInstanceParams, void> {
  readonly name = 'create-root-volume';
  // Making the volume again removes what a dead process had begun.
  override readonly saveOutput = false;

  constructor(private readonly volumes: VolumesService) {
    super();
  }

  override async run(context: StepContext, params: CreateInstanceParams, outputs: Outputs): Promise<void> {
    const { fingerprint } = outputs['ensure-image'] as EnsuredImage;
    try {
      await this.volumes.createInstanceVolume(context.ctx, { ...rootVolumeKey(params), imageFingerprint: fingerprint, size: params.size });
    } catch (error) {
      throw wrap(error, fingerprint === '' ? 'Failed creating instance' : 'Failed creating instance from image');
    }
  }

  override async undo(_context: StepContext, params: CreateInstanceParams): Promise<void> {
    await this.volumes.destroyInstanceVolume(rootVolumeKey(params));
  }
}
