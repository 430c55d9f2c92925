import { Injectable } from '@nestjs/common';
import type { InstanceSource, InstancesPost } from '#api-types';
import { internal, newUuid, notFound, notImplemented, unavailable, wrap, type RequestContext } from '#kernel';
import { OperationsService, succeeded, type OperationHandle, type RunningOperation } from '#platform/operations';
import { VolumeMigrations, type OfferedVolume, type VolumeArrival } from '#features/storage';
import { planSnapshots } from '../copies/refreshed-snapshots.js';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceLocks } from '../instance-locks.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceResources } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { ArrivingRoot } from './arriving-root.js';
import type { ReceiveRefreshParams } from './migration.params.js';
import { receiveInstance, receiveRefresh } from './receive-instance.operation.js';
import { fromWire, idmapText, isSame } from './wire-snapshots.rules.js';

/** A conversation with the server an instance comes from, before and while its files come. */
export interface InstanceVisit {
  readonly session: string;
  readonly arrival: VolumeArrival;
  readonly class: 'task' | 'websocket';
  readonly metadata: Record<string, unknown>;
  readonly connect: ReturnType<VolumeMigrations['await']>['connect'] | undefined;
  /** Where progress goes. */
  report: (metadata: Record<string, unknown>) => void;
}

/**
 * Instances that come from other servers (`source.type: migration`). What a client waits for is an operation in memory, the conversation; what is made of it here is one that
 * is stored, and undone when the conversation or this process ends before it.
 */
@Injectable()
export class InstanceArrivals {
  constructor(
    private readonly operations: OperationsService,
    private readonly migrations: VolumeMigrations,
    private readonly catalog: InstanceCatalog,
    private readonly snapshots: InstanceSnapshots,
    private readonly specs: InstanceSpecs,
    private readonly states: PowerStates,
    private readonly locks: InstanceLocks,
    readonly root: ArrivingRoot,
  ) {}

  /** @throws in LXD's words for a source that cannot be connected to. */
  begin(source: InstanceSource): InstanceVisit {
    const { mode } = source;
    if (mode !== 'pull' && mode !== 'push') throw notImplemented(`Mode "${mode ?? ''}" not implemented`);
    const session = newUuid();
    const awaited = mode === 'push' ? this.migrations.await() : null;
    const connections = awaited ?? this.migrations.dial({ operation: source.operation ?? '', secrets: source.secrets ?? {}, certificate: source.certificate ?? '' });
    const visit: InstanceVisit = {
      session, class: awaited === null ? 'task' : 'websocket', metadata: { ...awaited?.secrets }, report: () => undefined,
      arrival: this.migrations.expect(session, connections, (metadata) => visit.report(metadata)),
      connect: awaited === null ? undefined : (secret, accept) => awaited.connect(secret, accept),
    };
    return visit;
  }

  /** Nothing comes of it. */
  async giveUp(visit: InstanceVisit, error: unknown): Promise<void> {
    this.migrations.forget(visit.session);
    await visit.arrival.end(error);
  }

  /** The operation a client sees, while `made` makes the instance. */
  follow(ctx: RequestContext, visit: InstanceVisit, made: OperationHandle, place: Parameters<typeof instanceResources>[0]): Promise<OperationHandle> {
    return this.show(ctx, visit, place, () => succeeded(made));
  }

  /** A copy that is there becomes what its source is now; what the request says of the configuration has no effect, as in LXD. */
  async refresh(ctx: RequestContext, copy: ExpandedInstance, request: InstancesPost): Promise<OperationHandle> {
    const { row } = copy;
    await this.states.ready();
    this.refuse(copy);
    const source = request.source ?? {};
    const alone = source.instance_only === true || source.container_only === true;
    const visit = this.begin(source);
    return this.show(ctx, visit, row, async () => {
      const offered = await visit.arrival.offer();
      const lock = this.locks.acquire(row.id, 'restore');
      try {
        const params = this.plan(this.stillThere(row.id), offered, alone, visit.session);
        const names = new Set(params.bring.map(({ name }) => name));
        await visit.arrival.accept({ volume: this.specs.rootVolume(copy), snapshots: offered.snapshots.filter(({ name }) => names.has(name)), refresh: true });
        await succeeded(await this.operations.schedule(ctx, receiveRefresh.kind, params, { resources: instanceResources(row) }));
      } finally {
        lock.release();
      }
    });
  }

  /** It may have become another while the other side was awaited. */
  private stillThere(id: number): ExpandedInstance {
    const copy = this.catalog.findById(id);
    if (copy === undefined) throw notFound('Instance not found');
    this.refuse(copy);
    return copy;
  }

  private refuse(copy: ExpandedInstance): void {
    const { row } = copy;
    if (!this.catalog.isLocal(copy)) throw unavailable(`Instance "${row.name}" is on cluster member "${row.location}"`);
    if (this.states.isRunning(hostName(row))) throw internal('Failed getting exclusive access to instance: Instance is running');
  }

  private plan(copy: ExpandedInstance, { header, snapshots }: OfferedVolume, alone: boolean, session: string): ReceiveRefreshParams {
    const { row } = copy;
    const { pool } = this.specs.rootOf(copy);
    const theirs = snapshots.map((wire) => fromWire(wire, new Date().toISOString()));
    const planned = planSnapshots(copy, pool, { ours: this.snapshots.list(copy), theirs, alone }, isSame);
    return { id: row.id, project: row.project, name: row.name, type: row.type, pool, ...planned, session, idmap: idmapText(header.idmap) };
  }

  private show(ctx: RequestContext, visit: InstanceVisit, place: Parameters<typeof instanceResources>[0], work: () => Promise<void>): Promise<OperationHandle> {
    const run = async (operation: RunningOperation): Promise<void> => {
      visit.report = (metadata) => operation.update(metadata);
      try {
        await work();
        await visit.arrival.end();
      } catch (error) {
        await visit.arrival.end(error);
        throw wrap(error, 'Error transferring instance data');
      } finally {
        this.migrations.forget(visit.session);
      }
    };
    return this.operations.runInMemory(ctx, {
      kind: receiveInstance.kind, class: visit.class, description: receiveInstance.description, resources: instanceResources(place), metadata: visit.metadata, run,
      ...(visit.connect === undefined ? {} : { connect: visit.connect }),
    });
  }
}
