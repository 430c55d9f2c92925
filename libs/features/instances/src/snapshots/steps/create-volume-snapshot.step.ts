import { Injectable } from '@nestjs/common';
import { AppError, wrap } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { hostName } from '../../instance-urls.js';
import { volumeKeyOf, type CreateSnapshotParams } from '../snapshot-operation.params.js';

/** The copy of the files. What runs on them holds still where they are copied one by one. */
@Injectable()
export class CreateVolumeSnapshotStep extends Step<CreateSnapshotParams, void> {
  readonly name = 'create-volume-snapshot';
  // Making it again removes what a dead process had begun.
  override readonly saveOutput = false;

  constructor(
    private readonly volumes: SnapshotVolumes,
    private readonly driver: InstanceDriver,
  ) {
    super();
  }

  override async run(_context: StepContext, params: CreateSnapshotParams): Promise<void> {
    const key = volumeKeyOf(params);
    try {
      if (!params.freeze) return await this.volumes.create(key, params.snapshot);
      await this.driver.freezeInstance(hostName(params)).catch(unlessStopped);
      try {
        await this.volumes.create(key, params.snapshot);
      } finally {
        await this.driver.unfreezeInstance(hostName(params)).catch(unlessStopped);
      }
    } catch (error) {
      throw wrap(error, 'Create instance snapshot');
    }
  }

  override async undo(_context: StepContext, params: CreateSnapshotParams): Promise<void> {
    // A daemon killed in between has left it frozen.
    if (params.freeze) await this.driver.unfreezeInstance(hostName(params)).catch(unlessStopped);
    await this.volumes.destroy(volumeKeyOf(params), params.snapshot);
  }
}

/** It may have been stopped meanwhile, which nobody can be refused. */
function unlessStopped(error: unknown): void {
  if (!AppError.is(error, 'conflict') && !AppError.is(error, 'not-found')) throw error;
}
