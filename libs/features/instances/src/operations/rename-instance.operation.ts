import { Injectable } from '@nestjs/common';
import type { InstanceType } from '#api-types';
import { conflict, internal } from '#kernel';
import { defineOperation, Step, type StepContext } from '#platform/operations';
import { TransactionRunner } from '#platform/database';
import { InstanceDriver, type InstanceSpec } from '#ports';
import { VolumesService, type InstanceVolumeKey } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceLogFiles } from '../instance-logs.service.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceConflictKey } from '../instance-urls.js';

export interface RenameInstanceParams {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly newName: string;
  readonly type: InstanceType;
  readonly pool: string;
}

function volumeKey({ project, type, pool }: RenameInstanceParams, name: string): InstanceVolumeKey {
  return { project, name, type, pool };
}

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
    await this.volumes.renameOnHost(volumeKey(params, params.name), params.newName);
  }

  override async undo(_context: StepContext, params: RenameInstanceParams): Promise<void> {
    await this.volumes.renameOnHost(volumeKey(params, params.newName), params.name);
  }
}

@Injectable()
export class RenameOnHostStep extends Step<RenameInstanceParams, void> {
  readonly name = 'rename-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(_context: StepContext, params: RenameInstanceParams): Promise<void> {
    const { before, after } = this.specsOf(params);
    await this.driver.renameInstance(before.spec, after.spec);
    await this.neighbors.removeLeases(before.instance);
    await this.neighbors.ensureLeases(after.instance);
  }

  override async undo(_context: StepContext, params: RenameInstanceParams): Promise<void> {
    const { before, after } = this.specsOf(params);
    await this.driver.renameInstance(after.spec, before.spec);
    await this.neighbors.removeLeases(after.instance);
    await this.neighbors.ensureLeases(before.instance);
  }

  private specsOf({ id, name, newName }: RenameInstanceParams): Record<'before' | 'after', { instance: ExpandedInstance; spec: InstanceSpec }> {
    const instance = this.catalog.findById(id);
    if (instance === undefined) throw internal('Instance not found');
    const named = (to: string): { instance: ExpandedInstance; spec: InstanceSpec } => {
      const other = { ...instance, row: { ...instance.row, name: to } };
      return { instance: other, spec: this.specs.build(other) };
    };
    return { before: named(name), after: named(newName) };
  }
}

@Injectable()
export class RenameRowsStep extends Step<RenameInstanceParams, void> {
  readonly name = 'rename-rows';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly events: InstanceLifecycleEvents,
    private readonly logs: InstanceLogFiles,
  ) {
    super();
  }

  override async run(context: StepContext, params: RenameInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.findById(params.id, tx.sql);
      if (row === undefined || row.name === params.newName) return;
      if (this.repository.findByName(params.project, params.newName, tx.sql)) throw conflict(`Name "${params.newName}" already in use`);
      this.repository.rename(tx, params.id, params.newName);
      this.volumes.renameInstanceVolume(tx, volumeKey(params, params.name), params.newName);
      tx.afterCommit(() => this.events.send('renamed', { project: params.project, name: params.newName }, { context: { old_name: params.name } }));
    });
    await this.logs.dropRecordedOutput(hostName(params));
  }

  override async undo(context: StepContext, params: RenameInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findById(params.id, tx.sql);
      if (row?.name !== params.newName) return;
      this.repository.rename(tx, params.id, params.name);
      this.volumes.renameInstanceVolume(tx, volumeKey(params, params.newName), params.name);
    });
  }
}

/** Of a stopped instance: volume, host, rows. */
export const renameInstance = defineOperation<RenameInstanceParams>({
  kind: 'instance.rename',
  version: 1,
  description: 'Renaming instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [RenameRootVolumeStep, RenameOnHostStep, RenameRowsStep],
});
