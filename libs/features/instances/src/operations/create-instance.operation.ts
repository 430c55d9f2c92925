import { Injectable } from '@nestjs/common';
import type { ConfigMap, InstanceSource, InstanceType } from '#api-types';
import { defineOperation, nothingToUndo, Step, type Outputs, type StepContext } from '#platform/operations';
import { TransactionRunner } from '#platform/database';
import { InstanceDriver } from '#ports';
import { VolumesService, type InstanceVolumeKey } from '#features/storage';
import { wrap } from '#kernel';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceConflictKey } from '../instance-urls.js';
import { sorted } from '../rules/expand.rules.js';
import { imageConfig } from '../rules/image-config.rules.js';

/** Everything needed to make or to unmake the instance, with nothing but names: rows hold the rest. */
export interface CreateInstanceParams {
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
  /** `size` of the root disk; empty for the pool's default. */
  readonly size: string;
  /** Fingerprint of an image that is here; empty for none, or for one that must be fetched. */
  readonly fingerprint: string;
  /** Where to fetch the image from; null for one that is here. */
  readonly remote: InstanceSource | null;
}

interface EnsuredImage {
  readonly fingerprint: string;
}

function volumeKey({ project, name, type, pool }: CreateInstanceParams): InstanceVolumeKey {
  return { project, name, type, pool };
}

/** The rows reserved with the operation; its `run` does nothing, its undo takes them back. */
@Injectable()
export class ReserveInstanceRowsStep extends Step<CreateInstanceParams, void> {
  readonly name = 'reserve-rows';
  override readonly saveOutput = false;

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly volumes: VolumesService,
    private readonly member: MemberVolatileStore,
  ) {
    super();
  }

  override async run(): Promise<void> {}

  override async undo(context: StepContext, params: CreateInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findByName(params.project, params.name, tx.sql);
      this.volumes.releaseInstanceVolume(tx, volumeKey(params));
      if (row === undefined) return;
      this.repository.remove(tx, row.id);
      tx.afterCommit(() => this.member.forget(row.id));
    });
  }
}

/** The image's files are on this member, fetched if need be. */
@Injectable()
export class EnsureImageStep extends Step<CreateInstanceParams, EnsuredImage> {
  readonly name = 'ensure-image';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(context: StepContext, params: CreateInstanceParams): Promise<EnsuredImage> {
    if (params.remote === null) return { fingerprint: params.fingerprint };
    const image = await this.neighbors.fetchImage(context.ctx, params.project, params.type, params.remote, context);
    await this.runner.run(context.ctx, (tx) => {
      const row = this.repository.findByName(params.project, params.name, tx.sql);
      if (row === undefined) return;
      this.neighbors.touchImage(tx, image.id);
      const config: ConfigMap = { ...imageConfig(image), ...row.config, 'volatile.base_image': image.fingerprint };
      this.repository.update(tx, row.id, { ...row, architecture: image.architecture || row.architecture, config: sorted(config) });
      context.save(tx, { fingerprint: image.fingerprint });
    });
    return { fingerprint: image.fingerprint };
  }

  override undo(): Promise<void> {
    return nothingToUndo('the image cache is shared and expires by itself');
  }
}

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
      await this.volumes.createInstanceVolume(context.ctx, { ...volumeKey(params), imageFingerprint: fingerprint, size: params.size });
    } catch (error) {
      throw wrap(error, fingerprint === '' ? 'Failed creating instance' : 'Failed creating instance from image');
    }
  }

  override async undo(_context: StepContext, params: CreateInstanceParams): Promise<void> {
    await this.volumes.destroyInstanceVolume(volumeKey(params));
  }
}

/** Links, directories and names on the host, and its NICs' entries in DHCP and DNS. */
@Injectable()
export class CreateOnHostStep extends Step<CreateInstanceParams, void> {
  readonly name = 'create-on-host';
  override readonly saveOutput = false;

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly neighbors: InstanceNeighbors,
  ) {
    super();
  }

  override async run(_context: StepContext, params: CreateInstanceParams): Promise<void> {
    const instance = this.catalog.get(params.project, params.name);
    try {
      await this.driver.createInstance(this.specs.build(instance));
      await this.neighbors.ensureLeases(instance);
    } catch (error) {
      throw wrap(error, 'Failed creating instance record: Failed initialising instance');
    }
  }

  override async undo(_context: StepContext, params: CreateInstanceParams): Promise<void> {
    const instance = this.catalog.find(params.project, params.name);
    if (instance) await this.neighbors.removeLeases(instance);
    await this.driver.destroyInstance(hostName(params));
  }
}

/** The instance is there: the commit point. */
@Injectable()
export class MarkReadyStep extends Step<CreateInstanceParams, void> {
  readonly name = 'mark-ready';

  constructor(
    private readonly runner: TransactionRunner,
    private readonly repository: InstanceRepository,
    private readonly events: InstanceLifecycleEvents,
  ) {
    super();
  }

  override async run(context: StepContext, params: CreateInstanceParams): Promise<void> {
    await this.runner.run(context.ctx, (tx) => {
      context.commitPoint(tx);
      const row = this.repository.findByName(params.project, params.name, tx.sql);
      if (row === undefined || row.state === 'Created') return;
      this.repository.setState(tx, row.id, 'Created');
      tx.afterCommit(() => this.events.send('created', params, { context: { 'storage-pool': params.pool, type: params.type } }));
    });
  }

  override undo(): Promise<void> {
    return nothingToUndo('the rows go with their reservation');
  }
}

/** Makes an instance from an image or empty. It is listed from the moment it is asked for, as LXD's is, and never started here. */
export const createInstance = defineOperation<CreateInstanceParams>({
  kind: 'instance.create',
  version: 1,
  description: 'Creating instance',
  conflictsWith: instanceConflictKey,
  restart: 'resume',
  mayCancel: false,
  steps: [ReserveInstanceRowsStep, EnsureImageStep, CreateRootVolumeStep, CreateOnHostStep, MarkReadyStep],
});
