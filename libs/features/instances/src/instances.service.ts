import { Injectable } from '@nestjs/common';
import type { Instance, InstanceFull, InstancePost, InstanceState, InstanceType } from '#api-types';
import { conflict, internal, invalid, notFound, unavailable, type RequestContext } from '#kernel';
import { apiUrl, filterList, parseRecursion } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceLocks } from './instance-locks.js';
import { InstanceNeighbors } from './instance-neighbors.js';
import { InstanceRemoval } from './instance-removal.service.js';
import { BackupRequests } from './backups/backup-requests.service.js';
import { InstanceDepartures } from './migrations/instance-departures.service.js';
import { InstanceSnapshots } from './snapshots/instance-snapshots.service.js';
import { InstanceSpecs } from './instance-specs.js';
import { hostName, instanceResources } from './instance-urls.js';
import { renameInstance } from './operations/rename-instance.operation.js';
import type { RenameInstanceParams } from './operations/instance-operation.params.js';
import { InstanceFacts } from './members/instance-facts.js';
import { InstanceStates } from './members/instance-states.js';
import { PowerStates } from './power-states.js';
import { checkInstanceName, checkNameInPath } from './rules/instance-name.rules.js';
import { mergeVolatile } from './rules/volatile.rules.js';
import { etagFields, toApi, type InstanceView } from './rules/wire.rules.js';

export interface ListOptions {
  /** Null: all. */
  readonly project: string | null;
  readonly type: InstanceType | null;
  readonly filter: string | undefined;
}

/** Which collection a request came through: `instances`, or one of the former names, which hold one type each. */
export interface InstanceTree {
  readonly collection: 'instances' | 'containers' | 'virtual-machines';
  readonly type: InstanceType | null;
}

/** Reads instances, renames and deletes them. */
@Injectable()
export class InstancesService {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly facts: InstanceFacts,
    private readonly usage: InstanceStates,
    private readonly states: PowerStates,
    private readonly specs: InstanceSpecs,
    private readonly operations: OperationsService,
    private readonly removal: InstanceRemoval,
    private readonly snapshots: InstanceSnapshots,
    private readonly backups: BackupRequests,
    private readonly locks: InstanceLocks,
    private readonly neighbors: InstanceNeighbors,
    private readonly departures: InstanceDepartures,
  ) {}

  /** URLs, in order of creation. */
  async listUrls(tree: InstanceTree, options: ListOptions): Promise<string[]> {
    const list = await this.select(options, { ask: false });
    return list.map(({ row }) => apiUrl(['1.0', tree.collection, row.name], row.project));
  }

  /** Sorted by name. */
  async list(options: ListOptions): Promise<Instance[]> {
    const list = await this.select(options);
    return list.sort(byName).map((instance) => this.api(instance));
  }

  /** With state. */
  async listFull(options: ListOptions): Promise<InstanceFull[]> {
    const list = (await this.select(options)).sort(byName);
    const stateOf = await this.usage.of(list);
    const snapshots = this.snapshots.listAll(list);
    const backups = this.backups.listAll(list);
    return list.map((instance) => {
      const own = snapshots.get(instance.row.id)?.map((snapshot) => this.snapshots.api(instance, snapshot)) ?? [];
      return { ...this.api(instance), backups: this.backups.shown(backups.get(instance.row.id)), state: stateOf(instance), snapshots: own.length === 0 ? null : own };
    });
  }

  /**
   * One of this member, to work on. Requests come to the member of the instance, so `unavailable` means that it has just moved.
   * @throws `not-found` for none of that name in the project, or one of another type than the collection's.
   */
  async get(project: string, name: string, tree: InstanceTree): Promise<ExpandedInstance> {
    const instance = await this.find(project, name, tree);
    if (!this.catalog.isLocal(instance)) throw unavailable(`Instance "${name}" is on cluster member "${instance.row.location}"`);
    return instance;
  }

  /** The same where LXD looks for the project too, and names what it does not find: in log files and in the removal of the console's. */
  async getNamed(project: string, name: string, tree: InstanceTree): Promise<ExpandedInstance> {
    checkNameInPath(name);
    this.neighbors.projectId(project);
    if (this.catalog.find(project, name) === undefined) throw notFound(`Failed to fetch instance "${name}" in project "${project}": Instance not found`);
    return this.get(project, name, tree);
  }

  /** One of any member, to show. */
  async find(project: string, name: string, tree: InstanceTree): Promise<ExpandedInstance> {
    checkNameInPath(name);
    const instance = this.catalog.get(project, name);
    if (tree.type !== null && instance.row.type !== tree.type) throw notFound('Instance not found');
    await this.facts.refresh([instance]);
    return instance;
  }

  /** With `recursion=1` everything that hangs on it too. */
  async show(instance: ExpandedInstance, recursion: string | undefined): Promise<Instance | InstanceFull> {
    if (parseRecursion(recursion) === 0) return this.api(instance);
    const snapshots = this.snapshots.full(instance);
    return { ...this.api(instance), backups: this.backups.shown(this.backups.list(instance)), state: (await this.usage.of([instance]))(instance), snapshots: snapshots.length === 0 ? null : snapshots };
  }

  api(instance: ExpandedInstance): Instance {
    return toApi(this.view(instance), this.facts.of(instance).power);
  }

  etag(instance: ExpandedInstance): unknown {
    return etagFields(this.view(instance));
  }

  /** @throws `unavailable` when its member does not answer. */
  async state(instance: ExpandedInstance): Promise<InstanceState> {
    const state = (await this.usage.of([instance]))(instance);
    if (state === null) throw unavailable(`Cluster member "${instance.row.location}" does not answer`);
    return state;
  }

  async delete(ctx: RequestContext, instance: ExpandedInstance): Promise<OperationHandle> {
    if (this.isUp(instance)) throw invalid('Instance is running');
    return this.removal.schedule(ctx, instance.row.project, instance.row.name);
  }

  async rename(ctx: RequestContext, instance: ExpandedInstance, request: InstancePost, target: string): Promise<OperationHandle> {
    const { row } = instance;
    if (target !== '') throw notFound('Failed to get target node: Cluster member not found');
    if (request.migration) return this.departures.send(ctx, instance, null, request);
    const newName = request.name || row.name;
    checkInstanceName(newName);
    if (this.catalog.find(row.project, newName) !== undefined) throw conflict(`Name "${newName}" already in use`);
    if (this.isUp(instance)) {
      return this.operations.runInMemory(ctx, {
        kind: renameInstance.kind, class: 'task', description: renameInstance.description, resources: instanceResources(row),
        run: () => Promise.reject(internal('Renaming of running container not allowed')),
      });
    }
    const params: RenameInstanceParams = { id: row.id, project: row.project, name: row.name, newName, type: row.type, pool: this.specs.rootOf(instance).pool };
    return this.operations.schedule(ctx, renameInstance.kind, params, { resources: instanceResources(row) });
  }

  /** It runs, or is about to. */
  private isUp({ row }: ExpandedInstance): boolean {
    return this.states.isRunning(hostName(row)) || this.locks.startsUp(row.id);
  }

  private async select({ project, type, filter }: ListOptions, options: { ask: boolean } = { ask: true }): Promise<ExpandedInstance[]> {
    await this.states.ready();
    const all = this.catalog.ofProject(project).filter(({ row }) => type === null || row.type === type);
    if (options.ask || (filter ?? '') !== '') await this.facts.refresh(all);
    return filterList(filter, all, (instance) => this.api(instance));
  }

  private view(instance: ExpandedInstance): InstanceView {
    const { row } = instance;
    const local = this.facts.of(instance);
    return {
      architecture: row.architecture, config: mergeVolatile(row.config, local.volatile), devices: row.devices, ephemeral: row.ephemeral,
      profiles: instance.profileNames, stateful: row.stateful, description: row.description, createdAt: row.createdAt,
      expandedConfig: mergeVolatile(instance.expandedConfig, local.volatile), expandedDevices: instance.expandedDevices, name: row.name,
      lastUsedAt: local.lastUsedAt || row.lastUsedAt, location: row.location, type: row.type, project: row.project,
    };
  }
}

function byName(a: ExpandedInstance, b: ExpandedInstance): number {
  return a.row.name < b.row.name ? -1 : a.row.name > b.row.name ? 1 : a.row.id - b.row.id;
}
