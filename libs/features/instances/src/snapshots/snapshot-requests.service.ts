import { Injectable } from '@nestjs/common';
import type { InstanceSnapshotPost, InstanceSnapshotPut, InstanceSnapshotsPost } from '#api-types';
import { AppError, conflict, internal, invalid, notFound, wrap, type RequestContext } from '#kernel';
import { isUniqueViolation, TransactionRunner, type Tx } from '#platform/database';
import { apiUrl, checkEtag } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectLimits } from '#features/projects';
import { SnapshotVolumes } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceSnapshotRepository, type SnapshotRow } from '../data/instance-snapshot.repository.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceLocks } from '../instance-locks.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName, instanceResources } from '../instance-urls.js';
import { InstanceDepartures } from '../migrations/instance-departures.service.js';
import { PowerStates } from '../power-states.js';
import { noCriu } from '../rules/criu.rules.js';
import { requestedExpiry, snapshotExpiry } from '../rules/snapshot-expiry.rules.js';
import { checkSnapshotName, checkSnapshotSegment, nextSnapshotName } from '../rules/snapshot-name.rules.js';
import { SavedStates } from '../saved-states/saved-states.service.js';
import { createSnapshot } from './create-snapshot.operation.js';
import { deleteSnapshot } from './delete-snapshot.operation.js';
import { etagOfSnapshot } from './instance-snapshots.service.js';
import { renameSnapshot } from './rename-snapshot.operation.js';
import { restoreSnapshot } from './restore-snapshot.operation.js';
import { volumeKeyOf, type CreateSnapshotParams, type RenameSnapshotParams, type RestoreSnapshotParams, type SnapshotParams } from './snapshot-operation.params.js';

/** Makes, changes, renames, removes and restores snapshots. What LXD finds wrong only while it works ends an operation here too. */
@Injectable()
export class SnapshotRequests {
  constructor(
    private readonly runner: TransactionRunner,
    private readonly operations: OperationsService,
    private readonly instances: InstanceRepository,
    private readonly repository: InstanceSnapshotRepository,
    private readonly catalog: InstanceCatalog,
    private readonly specs: InstanceSpecs,
    private readonly volumes: SnapshotVolumes,
    private readonly states: PowerStates,
    private readonly locks: InstanceLocks,
    private readonly events: InstanceLifecycleEvents,
    private readonly limits: ProjectLimits,
    private readonly saved: SavedStates,
    private readonly departures: InstanceDepartures,
  ) {}

  async create(ctx: RequestContext, instance: ExpandedInstance, request: InstanceSnapshotsPost): Promise<OperationHandle> {
    const { row, expandedConfig } = instance;
    this.limits.assertMayKeep(row.project, 'snapshot');
    const now = new Date();
    const taken = this.repository.listByInstance(row.id).map(({ name }) => name);
    const name = request.name || nextSnapshotName(expandedConfig['snapshots.pattern'] ?? '', taken, now);
    checkSnapshotSegment(name);
    const asked = requestedExpiry(request.expires_at);
    const expiresAt = asked === undefined ? snapshotExpiry(expandedConfig['snapshots.expiry'] ?? '', now)?.toISOString() ?? null : asked;
    const power = this.states.get(hostName(row)).power;
    const description = createSnapshot.description;
    if (request.stateful) {
      const reason = power === 'Stopped' ? "The instance isn't running" : (await this.saved.isAvailable()) ? '' : noCriu;
      if (reason !== '') return this.failed(ctx, createSnapshot.kind, description, row, internal(`Unable to create a stateful snapshot. ${reason}`));
    }
    const base = this.params(instance, name);
    const params: CreateSnapshotParams = { ...base, freeze: power === 'Running' && (await this.volumes.freezesToCopy(base.pool)), stateful: request.stateful === true };
    try {
      return await this.operations.schedule(ctx, createSnapshot.kind, params, {
        resources: instanceResources(row), reserve: (tx) => this.reserve(tx, params, expiresAt),
      });
    } catch (error) {
      if (AppError.is(error, 'unavailable')) throw error;
      return this.failed(ctx, createSnapshot.kind, description, row, error instanceof AppError && error.message.startsWith('Instance is busy') ? error : wrap(error, `Failed creating instance snapshot record "${name}"`));
    }
  }

  /** Only the time it ends can be changed; `merge` leaves it where the request does not name it. */
  async update(ctx: RequestContext, instance: ExpandedInstance, snapshot: SnapshotRow, request: InstanceSnapshotPut, options: { ifMatch: string | undefined; merge: boolean }): Promise<OperationHandle> {
    const asked = requestedExpiry(request.expires_at);
    await this.runner.run(ctx, (tx) => {
      const row = this.repository.find(instance.row.id, snapshot.name, tx.sql);
      if (row === undefined) throw notFound('Instance snapshot not found');
      checkEtag(options.ifMatch, etagOfSnapshot(row));
      if (asked === undefined && options.merge) return;
      this.repository.setExpiry(tx, row.id, asked ?? null);
      tx.afterCommit(() => this.events.send('snapshot-updated', instance.row, { path: ['snapshots', row.name] }));
    });
    // LXD names the snapshot where the instance would stand.
    const resources = instanceResources({ ...instance.row, name: snapshot.name });
    return this.operations.runInMemory(ctx, { kind: 'instance.snapshot-update', class: 'task', description: 'Updating snapshot', resources, run: async () => {} });
  }

  async rename(ctx: RequestContext, instance: ExpandedInstance, snapshot: SnapshotRow, request: InstanceSnapshotPost): Promise<OperationHandle> {
    if (request.migration) return this.departures.send(ctx, instance, snapshot, request);
    const { row } = instance;
    const newName = request.name;
    if (newName === undefined || newName === '') throw invalid('Response was missing `name`');
    checkSnapshotSegment(newName);
    if (this.repository.find(row.id, newName) !== undefined) throw conflict(`Name '${row.name}/${newName}' already in use`);
    try {
      checkSnapshotName(newName);
    } catch (error) {
      return this.failed(ctx, renameSnapshot.kind, renameSnapshot.description, row, error as Error);
    }
    const params: RenameSnapshotParams = { ...this.params(instance, snapshot.name), newName };
    return this.operations.schedule(ctx, renameSnapshot.kind, params, { resources: instanceResources(row) });
  }

  delete(ctx: RequestContext, instance: ExpandedInstance, snapshot: SnapshotRow): Promise<OperationHandle> {
    const { row } = instance;
    const url = (collection: string): string[] => [apiUrl(['1.0', collection, row.name, snapshot.name], row.project)];
    const resources = { ...(row.type === 'container' ? { containers: url('containers') } : {}), instances: url('instances') };
    return this.operations.schedule(ctx, deleteSnapshot.kind, this.params(instance, snapshot.name), { resources });
  }

  /** `PUT` of an instance with `restore`. */
  async restore(ctx: RequestContext, instance: ExpandedInstance, name: string, stateful: boolean): Promise<OperationHandle> {
    const { row } = instance;
    const own = name.startsWith(`${row.name}/`) ? name.slice(row.name.length + 1) : name;
    const snapshot = this.repository.find(row.id, own);
    const { kind, description } = restoreSnapshot;
    if (snapshot === undefined || snapshot.state !== 'Created') return this.failed(ctx, kind, description, row, notFound(`Snapshot ${row.name}/${own} does not exist`));
    if (stateful && !snapshot.stateful) return this.failed(ctx, kind, description, row, internal('Stateful snapshot restore requested by snapshot is stateless'));
    const params: RestoreSnapshotParams = { ...this.params(instance, snapshot.name), running: this.states.isRunning(hostName(row)), stateful };
    const lock = this.locks.acquire(row.id, 'restore');
    try {
      const operation = await this.operations.schedule(ctx, kind, params, { resources: instanceResources(row) });
      void operation.done.then(() => lock.release());
      return operation;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private reserve(tx: Tx, params: CreateSnapshotParams, expiresAt: string | null): void {
    const { id, snapshot: name } = params;
    const row = this.instances.findById(id, tx.sql);
    if (row === undefined) throw notFound('Instance not found');
    checkSnapshotName(name);
    const createdAt = tx.now.toISOString();
    const config = this.catalog.ownConfig(this.catalog.expand(row, tx.sql));
    try {
      this.repository.insert(tx, id, { name, createdAt, stateful: params.stateful === true, description: '', expiresAt, config, devices: row.devices }, 'Creating');
    } catch (error) {
      if (isUniqueViolation(error)) throw invalid('Add snapshot info to the database: This "instances_snapshots" entry already exists', { cause: error });
      throw error;
    }
    this.volumes.reserve(tx, volumeKeyOf(params), { name, createdAt, expiresAt });
  }

  private params(instance: ExpandedInstance, snapshot: string): SnapshotParams {
    const { id, project, name, type } = instance.row;
    return { id, project, name, type, pool: this.specs.rootOf(instance).pool, snapshot };
  }

  private failed(ctx: RequestContext, kind: string, description: string, row: ExpandedInstance['row'], error: unknown): Promise<OperationHandle> {
    return this.operations.runInMemory(ctx, { kind, class: 'task', description, resources: instanceResources(row), run: () => Promise.reject(error) });
  }
}
