import { Injectable } from '@nestjs/common';
import type { ConfigMap, InstancesPost, InstanceSource, InstanceType } from '#api-types';
import { findRootDisk } from '#config-schema';
import { AppError, defaultProject, internal, invalid, LocalMember, messageOf, newUuid, notFound, wrap, type RequestContext } from '#kernel';
import type { IdmapEntry } from '#ports';
import type { Tx } from '#platform/database';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectRefusal } from '#features/projects';
import { InstanceCatalog } from './data/instance.catalog.js';
import type { NewInstance } from './data/instance.repository.js';
import { InstanceNeighbors } from './instance-neighbors.js';
import { InstanceRows } from './instance-rows.service.js';
import { instanceResources } from './instance-urls.js';
import { copyAndStartInstance, copyInstance } from './copies/copy-instance.operation.js';
import type { CopyInstanceParams, CopySource } from './copies/copy-operation.params.js';
import { InstanceCopies } from './copies/instance-copies.service.js';
import { InstanceRefresh } from './copies/instance-refresh.service.js';
import { createAndStartInstance, createInstance } from './operations/create-instance.operation.js';
import type { CreateInstanceParams } from './operations/instance-operation.params.js';
import { InstanceArrivals, type InstanceVisit } from './migrations/instance-arrivals.service.js';
import type { ReceiveInstanceParams } from './migrations/migration.params.js';
import { receiveInstance } from './migrations/receive-instance.operation.js';
import { isKnownArchitecture } from './rules/architectures.rules.js';
import { sorted } from './rules/expand.rules.js';
import { imageConfig } from './rules/image-config.rules.js';
import { checkInstanceName, makeUpName } from './rules/instance-name.rules.js';
import { limitsOfSize } from './rules/instance-size.rules.js';

/** LXD's words for a fingerprint that fits no image, found only when the operation runs. */
const imageMissing = 'Image not provided for instance creation';

/** This member was chosen for an instance, and will not do any more: another is to be chosen. Nothing was written. */
export class PlacementRefused extends AppError {
  constructor(reason: string) {
    super('unavailable', reason);
  }
}

/** How this member came to be chosen, in a cluster. */
export interface ChosenPlace {
  /** Why this member will not do, seen in the transaction that would reserve the rows; null if it does. */
  readonly refusal: (tx: Tx) => string | null;
  /** Kept in the history with the operation. */
  readonly placement: { readonly named: boolean; readonly group?: string; readonly others?: Readonly<Record<string, string>> };
}

/**
 * `POST /1.0/instances`, on the member that is to have it. What LXD refuses at once is refused at once; what it finds wrong only while working (a taken name, a bad key)
 * ends an operation as Failure here too, because clients print the two differently. Nothing is written in either case.
 */
@Injectable()
export class InstanceCreation {
  constructor(
    private readonly operations: OperationsService,
    private readonly catalog: InstanceCatalog,
    private readonly rows: InstanceRows,
    private readonly neighbors: InstanceNeighbors,
    private readonly copies: InstanceCopies,
    private readonly refreshes: InstanceRefresh,
    private readonly arrivals: InstanceArrivals,
    private readonly self: LocalMember,
  ) {}

  async create(ctx: RequestContext, asked: InstancesPost, defaultType: InstanceType | null, chosen: ChosenPlace | null): Promise<OperationHandle> {
    this.checkProject(ctx.project);
    const copy = asked.source?.type === 'copy' ? await this.copies.resolve(ctx.project, asked) : null;
    const former = asked.source?.refresh === true ? this.catalog.find(ctx.project, asked.name ?? '') : undefined;
    const incoming = asked.source?.type === 'migration';
    if (incoming && former !== undefined) return this.arrivals.refresh(ctx, former, asked);
    if (copy !== null && former !== undefined) return this.refreshes.refresh(ctx, former, copy);
    const request = copy?.request ?? asked;
    const type = this.typeOf(request.type || defaultType || 'container');
    const source = request.source ?? {};
    const profiles = request.profiles ?? null;
    this.refuseUnknownProfiles(ctx.project, profiles);
    const sizeLimits = request.instance_type ? limitsOfSize(request.instance_type) : {};
    const name = this.nameFor(ctx.project, request.name ?? '');
    this.refuseOtherSources(source);
    if ((request.architecture || incoming) && !isKnownArchitecture(request.architecture ?? '')) throw (incoming ? invalid : internal)(`Architecture isn't supported: ${request.architecture ?? ''}`);
    const remote = source.type === 'image' && (source.server ?? '') !== '' ? source : null;
    const image = source.type === 'image' && remote === null ? this.neighbors.localImage(ctx, ctx.project, source) : null;
    const host = await this.neighbors.hostDescription();
    const config: ConfigMap = {
      ...sizeLimits, ...(image ? imageConfig(image) : {}), ...request.config,
      ...(image ? { 'volatile.base_image': image.fingerprint } : {}), ...(incoming && source['base-image'] ? { 'volatile.base_image': source['base-image'] } : {}),
      // One that moves keeps the templates that wait.
      'volatile.apply_template': (incoming && request.config?.['volatile.apply_template']) || (copy === null && !incoming ? 'create' : 'copy'),
    };
    const draft = {
      memberId: this.self.id, name, type, architecture: request.architecture || image?.architecture || host.architectures[0] || 'x86_64',
      ephemeral: request.ephemeral ?? false, description: request.description ?? '', config: sorted(config), devices: incoming ? this.arrivals.root.devices(ctx.project, request.devices ?? {}, profiles) : request.devices ?? {},
      profileNames: profiles ?? image?.profiles ?? [defaultProject],
    };
    const visit = incoming ? this.arrivals.begin(source) : null;
    const params: CreateInstanceParams & Partial<ReceiveInstanceParams> & { pool: string; size: string; readonly source?: CopySource } = {
      project: ctx.project, name, type, pool: '', size: '', fingerprint: image?.fingerprint ?? '', remote,
      ...(copy === null ? {} : { source: copy.source }), ...(request.start ? { start: true } : {}),
      ...(visit === null ? {} : { session: visit.session, alone: source.instance_only === true || source.container_only === true }),
    };
    const reserve = (tx: Tx): void => {
      const refusal = chosen === null ? null : chosen.refusal(tx);
      if (refusal !== null) throw new PlacementRefused(refusal);
      if (type !== 'container') throw invalid(`Instance type "${type}" is not supported on this server: QEMU is not available`);
      if (source.type === 'image' && remote === null && image === null) throw notFound(imageMissing);
      if (!host.architectures.includes(draft.architecture)) throw invalid("Requested architecture isn't supported by this host");
      if (image) this.neighbors.touchImage(tx, image.id);
      this.reserve(tx, params, draft, host.idmap);
      if (isCopy(params)) this.copies.reserveSnapshots(tx, params);
    };
    return visit === null ? this.schedule(ctx, params, chosen === null ? {} : { placement: chosen.placement }, reserve) : this.receive(ctx, visit, params as ReceiveInstanceParams, reserve);
  }

  private reserve(
    tx: Tx, params: CreateInstanceParams & { pool: string; size: string }, draft: Omit<NewInstance, 'projectId' | 'profiles'> & { profileNames: readonly string[] },
    hostIdmap: readonly IdmapEntry[],
  ): void {
    const { profileNames, ...rest } = draft;
    const projectId = this.neighbors.projectId(params.project, tx.sql);
    const profiles = this.neighbors.profileIds(params.project, profileNames, (name) => internal(`Requested profile "${name}" doesn't exist`), tx.sql);
    const made = this.rows.reserve(tx, params.project, { ...rest, projectId, profiles }, hostIdmap);
    // Stored with the operation, which is written after this, in the same transaction.
    const root = findRootDisk(made.expandedDevices).config;
    params.pool = root.pool ?? '';
    params.size = root.size ?? '';
  }

  private async schedule(ctx: RequestContext, params: CreateInstanceParams, metadata: Record<string, unknown>, reserve: (tx: Tx) => void): Promise<OperationHandle> {
    const resources = isCopy(params) ? this.copies.resources(params) : instanceResources(params);
    try {
      return await this.operations.schedule(ctx, kindOf(params), params, { resources, metadata, reserve });
    } catch (error) {
      if (AppError.is(error, 'unavailable') || error instanceof ProjectRefusal) throw error;
      const failure = AppError.is(error) && error.message === imageMissing ? error : wrap(error, 'Failed creating instance record');
      return this.operations.runInMemory(ctx, {
        kind: createInstance.kind, class: 'task', description: createInstance.description, resources, run: () => Promise.reject(failure),
      });
    }
  }

  /** Unlike with other sources, what is wrong with the request is said at once. */
  private async receive(ctx: RequestContext, visit: InstanceVisit, params: ReceiveInstanceParams, reserve: (tx: Tx) => void): Promise<OperationHandle> {
    try {
      const made = await this.operations.schedule(ctx, receiveInstance.kind, params, { resources: instanceResources(params), reserve });
      return await this.arrivals.follow(ctx, visit, made, params);
    } catch (error) {
      await this.arrivals.giveUp(visit, error);
      if (AppError.is(error, 'unavailable') || error instanceof ProjectRefusal) throw error;
      throw internal(`Failed creating instance record: ${messageOf(error)}`, { cause: error });
    }
  }

  private checkProject(project: string): void {
    try {
      this.neighbors.projectId(project);
    } catch (error) {
      throw wrap(error, 'Failed loading project');
    }
  }

  private typeOf(text: string): InstanceType {
    if (text !== 'container' && text !== 'virtual-machine') throw invalid('Invalid instance type');
    return text;
  }

  private refuseUnknownProfiles(project: string, names: readonly string[] | null): void {
    if (names === null || new Set(names).size !== names.length) return;
    this.neighbors.profileIds(project, names, (name) => internal(`Requested profile "${name}" doesn't exist`));
  }

  private nameFor(project: string, requested: string): string {
    if (requested.includes('/')) throw invalid('The character "/" is reserved for snapshots');
    if (requested !== '') {
      checkInstanceName(requested);
      return requested;
    }
    const random = (): number => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32;
    for (let attempt = 0; attempt < 100; attempt++) {
      const name = makeUpName(random);
      if (this.catalog.find(project, name) === undefined) return name;
    }
    return `i-${newUuid()}`;
  }

  private refuseOtherSources(source: InstanceSource): void {
    switch (source.type ?? '') {
      case 'image':
      case 'none':
      case 'copy':
      case 'migration':
        return;
      default:
        throw invalid(`Unknown source type ${source.type ?? ''}`);
    }
  }
}

function kindOf(params: CreateInstanceParams): string {
  if (isCopy(params)) return params.start ? copyAndStartInstance.kind : copyInstance.kind;
  return params.start ? createAndStartInstance.kind : createInstance.kind;
}

function isCopy(params: CreateInstanceParams | CopyInstanceParams): params is CopyInstanceParams {
  return 'source' in params;
}
