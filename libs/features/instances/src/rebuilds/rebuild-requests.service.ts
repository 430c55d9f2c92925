import { Injectable } from '@nestjs/common';
import type { InstanceRebuildPost, InstanceSource } from '#api-types';
import { invalid, notFound, type RequestContext } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceLocks } from '../instance-locks.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceResources } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { rebuildInstance } from './rebuild-instance.operation.js';
import type { RebuildInstanceParams } from './rebuild-operation.params.js';

/** `POST /1.0/instances/{name}/rebuild` (extension `instances_rebuild`). */
@Injectable()
export class RebuildRequests {
  constructor(
    private readonly operations: OperationsService,
    private readonly catalog: InstanceCatalog,
    private readonly snapshots: InstanceSnapshots,
    private readonly specs: InstanceSpecs,
    private readonly neighbors: InstanceNeighbors,
    private readonly states: PowerStates,
    private readonly locks: InstanceLocks,
  ) {}

  async rebuild(ctx: RequestContext, instance: ExpandedInstance, request: InstanceRebuildPost): Promise<OperationHandle> {
    const { row } = instance;
    await this.states.ready();
    if (this.states.isRunning(hostName(row))) throw invalid('Instance must be stopped to be rebuilt');
    if (this.snapshots.list(instance).length > 0) throw invalid('Cannot rebuild an instance that has snapshots');
    const root = this.specs.rootOf(instance);
    const params: RebuildInstanceParams = {
      id: row.id, project: row.project, name: row.name, type: row.type, pool: root.pool, size: root.size, ...this.image(ctx, instance, request.source ?? {}),
    };
    const lock = this.locks.acquire(row.id, 'rebuild');
    try {
      const operation = await this.operations.schedule(ctx, rebuildInstance.kind, params, { resources: instanceResources(row) });
      void operation.done.then(() => lock.release());
      return operation;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private image(ctx: RequestContext, instance: ExpandedInstance, source: InstanceSource): Pick<RebuildInstanceParams, 'fingerprint' | 'remote'> {
    if (source.type === 'none') return { fingerprint: '', remote: null };
    if (source.type !== 'image') throw invalid(`Unknown source type ${source.type ?? ''}`);
    if (source.server) return { fingerprint: '', remote: source };
    const named = Boolean(source.alias || source.fingerprint || Object.keys(source.properties ?? {}).length > 0);
    const asked = named ? source : { fingerprint: this.catalog.ownConfig(instance)['volatile.base_image'] ?? '' };
    if (!named && asked.fingerprint === '') throw invalid('Must specify one of alias, fingerprint or properties for init from image');
    const image = this.neighbors.localImage(ctx, instance.row.project, asked);
    if (image === null) throw notFound('Image not found');
    if (image.type !== instance.row.type) throw invalid(`Requested image's type "${image.type}" doesn't match instance type "${instance.row.type}"`);
    return { fingerprint: image.fingerprint, remote: null };
  }
}
