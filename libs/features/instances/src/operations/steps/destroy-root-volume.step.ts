import { Injectable } from '@nestjs/common';
import { TransactionRunner } from '#platform/database';
import { Step, type StepContext } from '#platform/operations';
import { VolumesService } from '#features/storage';
import { InstanceRepository } from '../../data/instance.repository.js';
import { InstanceLogFiles } from '../../instance-logs.service.js';
import { rootVolumeKey, type DeleteInstanceParams } from '../instance-operation.params.js';
import { hostName } from '../../instance-urls.js';

/** Removes the data. The deletion cannot be taken back from here on. */
@Injectable()
export class DestroyRootVolumeStep extends Step<DeleteInstanceParams, void> {
  readonly name = 'destroy-root-volume';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly logs: InstanceLogFiles,
  ) {
    super();
  }

  /** Data goes here, so this is the point of no return: from the first byte on the deletion is carried through. */
  override async run(context: StepContext, params: DeleteInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      this.repository.setState(tx, params.id, 'Deleting');
    });
    await this.volumes.destroyInstanceVolume(rootVolumeKey(params));
    await this.logs.dropRecordedOutput(hostName(params));
  }

  override async undo(context: StepContext, params: DeleteInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => this.repository.setState(tx, params.id, 'Created'));
  }
}
