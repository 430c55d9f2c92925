import { Injectable } from '@nestjs/common';
import type { InstanceType } from '#api-types';
import { conflict, isTrue } from '#kernel';
import { defineOperation, nothingToUndo, Step, type StepContext } from '#platform/operations';
import { TransactionRunner } from '#platform/database';
import { InstanceDriver } from '#ports';
import { VolumesService, type InstanceVolumeKey } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceLogFiles } from '../instance-logs.service.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceConflictKey } from '../instance-urls.js';

export interface DeleteInstanceParams {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
}

function volumeKey({ project, name, type, pool }: DeleteInstanceParams): InstanceVolumeKey {
  return { project, name, type, pool };
}

/** Asks whether it may go, and makes sure that nothing starts it meanwhile: the host refuses what it no longer knows. */
@Injectable()
export class DestroyOnHostStep extends Step<DeleteInstanceParams, void> {
  readonly name = 'destroy-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(_context: StepContext, params: DeleteInstanceParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (instance && isTrue(instance.expandedConfig['security.protection.delete'])) {
      throw conflict(params.type === 'container' ? 'Container is protected' : 'Instance is protected');
    }
    const [status] = await this.driver.describeStatus([hostName(params)]);
    if (status !== undefined && status.power !== 'Stopped') throw conflict('Instance is running');
    await this.driver.destroyInstance(hostName(params));
    if (instance) await this.neighbors.removeLeases(instance);
  }

  /** A refused deletion leaves a usable instance: making it known to the host again is harmless when it still is. */
  override async undo(_context: StepContext, params: DeleteInstanceParams): Promise<void> {
    const instance = this.catalog.findById(params.id);
    if (!instance) return;
    await this.driver.createInstance(this.specs.build(instance));
    await this.neighbors.ensureLeases(instance);
  }
}

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
    await this.volumes.destroyInstanceVolume(volumeKey(params));
    await this.logs.dropRecordedOutput(hostName(params));
  }

  override async undo(context: StepContext, params: DeleteInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => this.repository.setState(tx, params.id, 'Created'));
  }
}

@Injectable()
export class RemoveInstanceRowsStep extends Step<DeleteInstanceParams, void> {
  readonly name = 'remove-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly member: MemberVolatileStore,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: DeleteInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findById(params.id, tx.sql);
      this.volumes.releaseInstanceVolume(tx, volumeKey(params));
      if (row === undefined) return;
      this.repository.remove(tx, params.id);
      tx.afterCommit(() => {
        this.member.forget(params.id);
        this.events.send('deleted', params);
      });
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the rows are the last to go');
  }
}

/** Takes an instance apart, host first, so that no host object is ever without a row that names it. */
export const deleteInstance = defineOperation<DeleteInstanceParams>({
  kind: 'instance.delete',
  version: 1,
  description: 'Deleting instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [DestroyOnHostStep, DestroyRootVolumeStep, RemoveInstanceRowsStep],
});

