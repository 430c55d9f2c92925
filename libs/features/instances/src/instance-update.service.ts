import { Injectable } from '@nestjs/common';
import type { InstancePut } from '#api-types';
import { AppError, internal, messageOf, notFound, type RequestContext } from '#kernel';
import { TransactionRunner, type Tx } from '#platform/database';
import { checkEtag } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectRefusal } from '#features/projects';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceRepository, type InstanceRow } from './data/instance.repository.js';
import { MemberVolatileStore } from './data/member-volatile.store.js';
import { InstanceLifecycleEvents } from './instance-lifecycle-events.js';
import { InstanceLocks } from './instance-locks.js';
import { InstanceNeighbors } from './instance-neighbors.js';
import { InstanceRows, type AppliedChange, type WantedChange } from './instance-rows.service.js';
import { hostName, instanceResources } from './instance-urls.js';
import { SnapshotRequests } from './snapshots/snapshot-requests.service.js';
import { updateInstance } from './operations/update-instance.operation.js';
import type { UpdateInstanceParams } from './operations/instance-operation.params.js';
import { PowerStates } from './power-states.js';
import { isKnownArchitecture } from './rules/architectures.rules.js';
import { mergeVolatile } from './rules/volatile.rules.js';
import { etagFields } from './rules/wire.rules.js';

export interface UpdateRequest {
  readonly project: string;
  readonly name: string;
  readonly body: InstancePut;
  readonly ifMatch: string | undefined;
  /** PATCH: what is not named stays; maps are merged. */
  readonly merge: boolean;
}

/** Errors LXD answers with their own status; all others of an update end as 500 or as a failed operation. */
const sharpKinds = new Set(['not-found', 'conflict', 'precondition', 'unavailable']);

/**
 * `PUT` and `PATCH` of an instance. A change that concerns rows alone is one transaction; one that reaches the host (it runs, or its
 * root's size or its NICs change) is a stored operation, row first, that takes the row back when the host refuses.
 */
@Injectable()
export class InstanceUpdate {
  constructor(
    private readonly runner: TransactionRunner,
    private readonly operations: OperationsService,
    private readonly repository: InstanceRepository,
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
    private readonly rows: InstanceRows,
    private readonly neighbors: InstanceNeighbors,
    private readonly states: PowerStates,
    private readonly locks: InstanceLocks,
    private readonly events: InstanceLifecycleEvents,
    private readonly snapshots: SnapshotRequests,
  ) {}

  /** `PUT`: an operation, whatever becomes of it. */
  async replace(ctx: RequestContext, request: UpdateRequest): Promise<OperationHandle> {
    const instance = this.catalog.get(request.project, request.name);
    this.checkSharp(instance, request);
    const resources = instanceResources(instance.row);
    if (request.body.restore) return this.snapshots.restore(ctx, instance, request.body.restore, request.body.stateful === true);
    try {
      if (this.reachesHost(instance, request.body)) return await this.schedule(ctx, instance, request);
      await this.writeRow(ctx, instance, request);
      return await this.operations.runInMemory(ctx, { kind: updateInstance.kind, class: 'task', description: updateInstance.description, resources, run: async () => {} });
    } catch (error) {
      if (error instanceof ProjectRefusal || (error instanceof AppError && sharpKinds.has(error.kind) && error.kind !== 'conflict')) throw error;
      return this.operations.runInMemory(ctx, { kind: updateInstance.kind, class: 'task', description: updateInstance.description, resources, run: () => Promise.reject(error) });
    }
  }

  /** `PATCH`: done when it resolves. */
  async merge(ctx: RequestContext, request: UpdateRequest): Promise<void> {
    const instance = this.catalog.get(request.project, request.name);
    try {
      if (!this.reachesHost(instance, request.body)) return await this.writeRow(ctx, instance, request);
      const operation = await (await this.schedule(ctx, instance, request)).wait();
      if (operation.status !== 'Success') throw internal(operation.err);
    } catch (error) {
      if (error instanceof AppError && sharpKinds.has(error.kind)) throw error;
      throw internal(messageOf(error), { cause: error });
    }
  }

  private async writeRow(ctx: RequestContext, { row }: ExpandedInstance, request: UpdateRequest): Promise<void> {
    const lock = await this.locks.acquireUpdate(row.id, false);
    try {
      const hostIdmap = (await this.neighbors.hostDescription()).idmap;
      await this.runner.run(ctx, (tx) => {
        const change = this.change(tx, request, hostIdmap);
        tx.afterCommit(() => {
          if (change.local !== null) this.member.replace(row.id, change.local);
          this.events.send('updated', row);
        });
      });
    } finally {
      lock.release();
    }
  }

  private async schedule(ctx: RequestContext, { row }: ExpandedInstance, request: UpdateRequest): Promise<OperationHandle> {
    const lock = await this.locks.acquireUpdate(row.id, true);
    try {
      const hostIdmap = (await this.neighbors.hostDescription()).idmap;
      const params: UpdateInstanceParams = { project: request.project, name: request.name, before: null, after: null, local: null };
      const operation = await this.operations.schedule(ctx, updateInstance.kind, params, {
        resources: instanceResources(row),
        // The operation is written after this, in the same transaction, with what was decided here.
        reserve: (tx) => void Object.assign(params, this.change(tx, request, hostIdmap)),
      });
      void operation.done.then(() => lock.release());
      return operation;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private change(tx: Tx, request: UpdateRequest, hostIdmap: Parameters<InstanceRows['update']>[3]): AppliedChange {
    const row = this.repository.findByName(request.project, request.name, tx.sql);
    if (row === undefined) throw notFound('Instance not found');
    this.checkMatch(this.catalog.expand(row, tx.sql), request.ifMatch);
    const wanted = this.wanted(tx, row, request);
    try {
      return this.rows.update(tx, row, wanted, hostIdmap);
    } catch (error) {
      // What is wrong with a change is never "not found", even when it names something that is not there.
      throw AppError.is(error, 'not-found') ? internal(messageOf(error), { cause: error }) : error;
    }
  }

  private wanted(tx: Tx, row: InstanceRow, { body, merge, project }: UpdateRequest): WantedChange {
    const profiles = body.profiles
      ? this.neighbors.profileIds(project, body.profiles, () => notFound('Profile not found'), tx.sql)
      : merge ? row.profiles : [];
    const current = mergeVolatile(row.config, this.member.get(row.id).volatile);
    const config = body.config ?? {};
    const devices = body.devices ?? {};
    return {
      // LXD keeps the architecture it has when it does not know the one that is asked for.
      architecture: body.architecture && isKnownArchitecture(body.architecture) ? body.architecture : row.architecture,
      ephemeral: body.ephemeral ?? (merge ? row.ephemeral : false),
      description: body.description ?? (merge ? row.description : ''),
      profiles,
      config: merge ? { ...current, ...config } : config,
      devices: merge ? { ...row.devices, ...devices } : devices,
    };
  }

  /** What LXD refuses before it makes an operation. */
  private checkSharp(instance: ExpandedInstance, { body, ifMatch, project }: UpdateRequest): void {
    this.checkMatch(instance, ifMatch);
    if (body.profiles && new Set(body.profiles).size === body.profiles.length) {
      this.neighbors.profileIds(project, body.profiles, () => notFound('Profile not found'));
    }
  }

  private checkMatch(instance: ExpandedInstance, ifMatch: string | undefined): void {
    if (ifMatch === undefined) return;
    const { architecture, devices, ephemeral } = instance.row;
    checkEtag(ifMatch, etagFields({ architecture, config: this.catalog.ownConfig(instance), devices, ephemeral, profiles: instance.profileNames }));
  }

  /** A guess made before the transaction: rows decide what changes, this only decides how. Guessing "host" is always right. */
  private reachesHost(instance: ExpandedInstance, body: InstancePut): boolean {
    if (this.states.isRunning(hostName(instance.row))) return true;
    if (body.profiles && body.profiles.join('\n') !== instance.profileNames.join('\n')) return true;
    const own = JSON.stringify(instance.row.devices);
    if (body.devices && JSON.stringify({ ...instance.row.devices, ...body.devices }) !== own) return true;
    if (body.devices && Object.keys(instance.row.devices).some((name) => !Object.hasOwn(body.devices!, name))) return true;
    const config = this.catalog.ownConfig(instance);
    return Object.entries(body.config ?? {}).some(([key, value]) => key.endsWith('.hwaddr') && config[key] !== value);
  }
}
