import { Injectable } from '@nestjs/common';
import type { InstancePost } from '#api-types';
import { AppError, conflict, forbidden, internal, invalid, LocalMember, notFound, unavailable, type RequestContext } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ClusterMembers } from '#features/cluster';
import { ProjectLimits } from '#features/projects';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceBackupRepository } from '../data/instance-backup.repository.js';
import { InstanceLocks, type InstanceLock } from '../instance-locks.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceResources, instanceUrl } from '../instance-urls.js';
import { InstanceMoves } from '../instance-moves.js';
import { InstanceDepartures } from '../members/instance-departures.js';
import { PowerStates } from '../power-states.js';
import { checkInstanceName } from '../rules/instance-name.rules.js';
import { LiveMoves } from '../saved-states/live-moves.service.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { ArrivingInstance } from './arriving-instance.js';
import { moveInstance } from './move-instance.operation.js';
import { relocateInstance } from './relocate-instance.operation.js';
import { isSamePlace, type InstancePlace, type RelocateInstanceParams } from './relocation.params.js';

/** `POST /1.0/instances/{name}` that moves: to another member, pool or project, with LXD's words for what cannot be done. */
@Injectable()
export class MoveRequests {
  constructor(
    private readonly operations: OperationsService,
    private readonly moves: InstanceMoves,
    private readonly members: ClusterMembers,
    private readonly states: PowerStates,
    private readonly self: LocalMember,
    private readonly snapshots: InstanceSnapshots,
    private readonly backups: InstanceBackupRepository,
    private readonly specs: InstanceSpecs,
    private readonly arriving: ArrivingInstance,
    private readonly locks: InstanceLocks,
    private readonly limits: ProjectLimits,
    private readonly live: LiveMoves,
    private readonly departures: InstanceDepartures,
  ) {}

  /** To another pool or project of this member. */
  async withinMember(ctx: RequestContext, instance: ExpandedInstance, request: InstancePost): Promise<OperationHandle> {
    const { row } = instance;
    const { place: { from, to }, alone } = this.asked(instance, request);
    const params: RelocateInstanceParams = {
      ...from, id: row.id, type: row.type, to, size: this.specs.rootOf(instance).size, snapshots: alone ? [] : this.snapshots.list(instance).map(({ name }) => name),
    };
    const { kind, description } = relocateInstance;
    const resources = { instances: [instanceUrl(row)] };
    const fail = (error: unknown): Promise<OperationHandle> => this.operations.runInMemory(ctx, { kind, class: 'task', description, resources, run: () => Promise.reject(error) });
    await this.states.ready();
    if (this.states.isRunning(hostName(row))) {
      if (request.live === true) {
        return this.operations.runInMemory(ctx, {
          kind, class: 'task', description, resources, run: () => this.live.around(ctx, instance, this.self.id, async () => {
            const moved = await (await this.relocate(ctx, instance, params, this.locks.acquire(row.id, 'migrate'))).wait();
            if (moved.status !== 'Success') throw internal(moved.err);
          }),
        });
      }
      return fail(internal(`Instance must be stopped to move between ${to.project === from.project ? 'pools' : 'projects'} statelessly`));
    }
    const lock = this.locks.acquire(row.id, 'migrate');
    try {
      return await this.relocate(ctx, instance, params, lock);
    } catch (error) {
      if (AppError.is(error, 'unavailable')) throw error;
      return fail(error);
    }
  }

  /** The lock is released with its end. */
  private async relocate(ctx: RequestContext, { row }: ExpandedInstance, params: RelocateInstanceParams, lock: InstanceLock): Promise<OperationHandle> {
    const { project, name, pool, to, snapshots } = params;
    try {
      const operation = await this.operations.schedule(ctx, relocateInstance.kind, params, {
        resources: { instances: [instanceUrl(row)] }, reserve: (tx) => this.arriving.reserve(tx, row, { project, name, pool }, to, snapshots),
      });
      void operation.done.then(() => lock.release());
      return operation;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  async toMember(ctx: RequestContext, instance: ExpandedInstance, request: InstancePost, target: string): Promise<OperationHandle> {
    const { row } = instance;
    this.limits.assertMayTarget(ctx, target);
    const member = this.members.candidates().find(({ name }) => name === target);
    if (member === undefined) throw notFound('Failed to get target node: Cluster member not found');
    if (!request.migration) throw invalid('Renaming an instance does not take a target');
    if (member.id === this.self.id) throw invalid("Target must be different than instance's current location");
    if (member.state === 'evacuated') throw forbidden('Cluster member is evacuated');
    if (!member.online) throw unavailable('Target cluster member is offline');
    const { place, alone } = this.asked(instance, request);
    const { kind, description } = moveInstance;
    return this.operations.runInMemory(ctx, {
      kind, class: 'task', description, resources: instanceResources(row),
      run: async ({ signal }) => {
        const running = this.states.isRunning(hostName(row));
        // Their archives lie here and would be nobody's.
        if (this.backups.list(row.id).length > 0) throw conflict('Instance has backups');
        const watch = { signal, alone, ...(isSamePlace(place.from, place.to) ? {} : { to: place.to }) };
        if (running && request.live !== true) {
          await this.live.around(ctx, instance, member.id, () => this.departures.leave(ctx, instance, { to: member.id, origin: null, watch }), (one) => this.departures.stop(one));
          return;
        }
        const move = (): Promise<void> => this.moves.move(ctx, instance, member.id, watch);
        await (running ? this.live.around(ctx, instance, member.id, move) : move());
      },
    });
  }

  private asked(instance: ExpandedInstance, request: InstancePost): { readonly place: Readonly<Record<'from' | 'to', InstancePlace>>; readonly alone: boolean } {
    const { row } = instance;
    if (request.name?.includes('/')) throw invalid('The character "/" is reserved for snapshots');
    if (request.name) checkInstanceName(request.name);
    const { pool } = this.specs.rootOf(instance);
    const from: InstancePlace = { project: row.project, name: row.name, pool };
    const to: InstancePlace = { project: request.project || from.project, name: request.name || from.name, pool: request.pool || pool };
    return { place: { from, to }, alone: request.instance_only === true || request.container_only === true };
  }
}
