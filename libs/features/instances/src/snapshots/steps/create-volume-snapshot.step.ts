import { Injectable } from '@nestjs/common';
import { AppError, wrap } from '#kernel';
import { InstanceDriver } from '#ports';
import { Step, type StepContext } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { hostName } from '../../instance-urls.js';
import { InstanceCatalog } from '../../data/instance.catalog.js';
import { SavedStates } from '../../saved-states/saved-states.service.js';
import { volumeKeyOf, type CreateSnapshotParams } from '../snapshot-operation.params.js';

/** The copy of the files, and of what runs on them, which is among them for that moment. It holds still where they are copied one by one. */
@Injectable()
export class CreateVolumeSnapshotStep extends Step<CreateSnapshotParams, void> {
  readonly name = 'create-volume-snapshot';
  // Making it again removes what a dead process had begun.
  override readonly saveOutput = false;

  constructor(
    private readonly volumes: SnapshotVolumes,
    private readonly driver: InstanceDriver,
    private readonly catalog: InstanceCatalog,
    private readonly saved: SavedStates,
  ) {
    super();
  }

  override async run(_context: StepContext, params: CreateSnapshotParams): Promise<void> {
    const instance = params.stateful === true ? this.catalog.findById(params.id) : undefined;
    if (instance === undefined) return this.copy(params);
    await this.saved.write(instance, { stop: false });
    try {
      await this.copy(params);
    } finally {
      await this.saved.remove(instance);
    }
  }

  private async copy(params: CreateSnapshotParams): Promise<void> {
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
    const instance = params.stateful === true ? this.catalog.findById(params.id) : undefined;
    if (instance !== undefined) await this.saved.remove(instance);
    await this.volumes.destroy(volumeKeyOf(params), params.snapshot);
  }
}

/** It may have been stopped meanwhile, which nobody can be refused. */
function unlessStopped(error: unknown): void {
  if (!AppError.is(error, 'conflict') && !AppError.is(error, 'not-found')) throw error;
}
