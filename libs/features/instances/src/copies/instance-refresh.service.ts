import { Injectable } from '@nestjs/common';
import { AppError, internal, unavailable, type RequestContext } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstanceLocks } from '../instance-locks.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import type { RefreshInstanceParams } from './copy-operation.params.js';
import { InstanceCopies, type ResolvedCopy } from './instance-copies.service.js';
import { planSnapshots } from './refreshed-snapshots.js';
import { refreshInstance } from './refresh-instance.operation.js';

/** `source.refresh` with a copy that is there: files and snapshots become those of the source; what the request says of the configuration has no effect, as in LXD. */
@Injectable()
export class InstanceRefresh {
  constructor(
    private readonly operations: OperationsService,
    private readonly catalog: InstanceCatalog,
    private readonly rows: InstanceSnapshotRepository,
    private readonly snapshots: InstanceSnapshots,
    private readonly copies: InstanceCopies,
    private readonly specs: InstanceSpecs,
    private readonly states: PowerStates,
    private readonly locks: InstanceLocks,
  ) {}

  async refresh(ctx: RequestContext, copy: ExpandedInstance, { source, request }: ResolvedCopy): Promise<OperationHandle> {
    const { row } = copy;
    if (!this.catalog.isLocal(copy)) throw unavailable(`Instance "${row.name}" is on cluster member "${row.location}"`);
    const { kind, description } = refreshInstance;
    const alone = request.source?.instance_only === true || request.source?.container_only === true;
    const theirs = this.rows.listByInstance(source.id).filter(({ name }) => source.snapshots.includes(name))
      .map(({ name, createdAt, stateful, description: text, expiresAt, config, devices }) => ({ name, createdAt, stateful, description: text, expiresAt, config, devices }));
    const { pool } = this.specs.rootOf(copy);
    const snapshots = planSnapshots(copy, pool, { ours: this.snapshots.list(copy), theirs, alone }, (a, b) => a.name === b.name && a.createdAt === b.createdAt);
    const params: RefreshInstanceParams = { id: row.id, project: row.project, name: row.name, type: row.type, pool, source, ...snapshots };
    const resources = this.copies.resources(params);
    await this.states.ready();
    if (this.states.isRunning(hostName(row))) {
      return this.operations.runInMemory(ctx, { kind, class: 'task', description, resources, run: () => Promise.reject(internal('Failed getting exclusive access to instance: Instance is running')) });
    }
    const lock = this.locks.acquire(row.id, 'restore');
    try {
      const operation = await this.operations.schedule(ctx, kind, params, { resources });
      void operation.done.then(() => lock.release());
      return operation;
    } catch (error) {
      lock.release();
      if (AppError.is(error, 'unavailable')) throw error;
      return this.operations.runInMemory(ctx, { kind, class: 'task', description, resources, run: () => Promise.reject(error) });
    }
  }
}
