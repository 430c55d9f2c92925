import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { findRootDisk } from '#config-schema';
import { AppError, defaultProject, internal, invalid, Logger, messageOf, projectPrefixed, withProject, type RequestContext } from '#kernel';
import { StorageDriver, VolumeArchives, VolumeSnapshots, type PoolSpec, type VolumeSpec } from '#ports';
import { Database, type Tx } from '#platform/database';
import { OperationsService } from '#platform/operations';
import { LostVolumes, PoolsService, readDescription, VolumesService, type DescribedInstance, type LostVolume } from '#features/storage';
import type { CreateInstanceParams } from '../operations/instance-operation.params.js';
import { DescribedRows } from '../backups/described-rows.service.js';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { instanceResources } from '../instance-urls.js';
import { recoverInstance } from './recover-instance.operation.js';

const text = z.string().nullish().transform((value) => value ?? '');
const poolToScan = z.object({
  name: text, driver: text, description: text, config: z.record(z.string(), z.string()).nullish().transform((value) => value ?? {}),
});

/** Body of both requests: pools by name, and those that are not known here with all it takes to mount them. */
export const recoveryRequest = z.object({ pools: z.array(poolToScan).nullish().transform((value) => value ?? []) }).meta({ id: 'internalRecoverPost' });
export type RecoveryRequest = z.infer<typeof recoveryRequest>;

export interface UnknownVolume {
  readonly name: string;
  readonly type: string;
  readonly snapshotCount: number;
  readonly project: string;
  readonly pool: string;
}

export interface RecoveryFindings {
  readonly UnknownVolumes: UnknownVolume[] | null;
  readonly DependencyErrors: string[] | null;
}

/** Instances, and custom volumes beside. */
interface Findings {
  readonly instances: readonly Found[];
  readonly volumes: readonly LostVolume[];
}

interface Found extends UnknownVolume {
  readonly described: DescribedInstance;
  /** On disk, in the order they were taken. */
  readonly snapshots: readonly string[];
}

/**
 * Finds volumes in pools that no row names: custom ones, and those of instances, which are made known again by what `backup.yaml` in them says. Nothing of a volume goes, whatever goes wrong:
 * all that changes is whose the files of a custom one are, where LXD has shifted their ids.
 */
@Injectable()
export class Recovery {
  constructor(
    private readonly database: Database,
    private readonly operations: OperationsService,
    private readonly pools: PoolsService,
    private readonly volumes: VolumesService,
    private readonly storage: StorageDriver,
    private readonly snapshots: VolumeSnapshots,
    private readonly archives: VolumeArchives,
    private readonly catalog: InstanceCatalog,
    private readonly neighbors: InstanceNeighbors,
    private readonly rows: DescribedRows,
    private readonly lost: LostVolumes,
    private readonly logger: Logger,
  ) {}

  async validate(request: RecoveryRequest): Promise<RecoveryFindings> {
    const found = await this.scan(request);
    const missing = this.missing(found);
    const unknown: UnknownVolume[] = [
      ...found.instances.map(({ name, type, snapshotCount, project, pool }) => ({ name, type, snapshotCount, project, pool })),
      ...found.volumes.map(({ name, snapshots, project, pool }) => ({ name, type: 'volume', snapshotCount: snapshots.length, project, pool })),
    ];
    return { UnknownVolumes: unknown.length === 0 ? null : unknown, DependencyErrors: missing.length === 0 ? null : missing };
  }

  async import(ctx: RequestContext, request: RecoveryRequest): Promise<void> {
    const found = await this.scan(request);
    const missing = this.missing(found);
    if (missing.length > 0) throw invalid(`Missing: ${missing.join(', ')}`);
    for (const pool of request.pools) if (!this.isKnown(pool.name)) await this.pools.adopt(ctx, pool);
    // Instances have them as disks.
    for (const one of found.volumes) await this.lost.bringBack(ctx, one, found.instances);
    for (const one of found.instances) await this.bringBack(withProject(ctx, one.project), one);
  }

  private async scan({ pools }: RecoveryRequest): Promise<Findings> {
    const instances: Found[] = [];
    const volumes: LostVolume[] = [];
    for (const asked of pools) {
      const spec = this.specOf(asked);
      await this.storage.ensurePoolMounted(spec);
      for (const volume of await this.storage.listVolumes(spec)) {
        const instance = volume.kind === 'container' ? await this.look(volume) : null;
        const custom = volume.kind === 'custom' ? await this.lost.look(volume) : null;
        if (instance !== null) instances.push(instance);
        if (custom !== null) volumes.push(custom);
      }
    }
    return { instances, volumes };
  }

  /** What is needed that is not there, in LXD's words, each once. */
  private missing({ instances, volumes }: Findings): string[] {
    return [...new Set([...instances.flatMap((one) => this.missingFor(one)), ...volumes.flatMap((one) => this.lost.missing(one))])];
  }

  /** Null for a volume that is known, or that says nothing of what it belongs to. */
  private async look(volume: VolumeSpec): Promise<Found | null> {
    // Names of instances have no underscore, those of projects may.
    const at = volume.name.lastIndexOf('_');
    const [project, name] = at < 0 ? [defaultProject, volume.name] : [volume.name.slice(0, at), volume.name.slice(at + 1)];
    const pool = volume.pool.name;
    if (this.isKnown(pool) && this.volumes.find({ pool, project, name, type: 'container' }) !== undefined) return null;
    if (this.catalog.find(project, name) !== undefined) {
      this.logger.warn('A volume is not its instance\'s', { pool, volume: volume.name });
      return null;
    }
    const content = await this.archives.readVolumeFile(volume, '', 'backup.yaml');
    if (content === '') {
      this.logger.warn('A volume does not say what it belongs to', { pool, volume: volume.name });
      return null;
    }
    const described = this.describe(volume, content);
    const there = new Set(await this.snapshots.listSnapshots(volume));
    const ordered = described.snapshots.map((one) => one.name.slice(one.name.lastIndexOf('/') + 1)).filter((one) => there.delete(one));
    const snapshots = [...ordered, ...[...there].sort()];
    return { name, type: 'container', snapshotCount: snapshots.length, project, pool, described, snapshots };
  }

  private describe(volume: VolumeSpec, content: string): DescribedInstance {
    try {
      const described = readDescription(content);
      if (described.container === null) throw invalid('no instance is described');
      return described;
    } catch (error) {
      throw internal(`Failed reading "backup.yaml" of volume "${volume.name}" in pool "${volume.pool.name}": ${messageOf(error)}`, { cause: error });
    }
  }

  /** What the instance needs that is not there, in LXD's words. */
  private missingFor({ project, described }: Found): string[] {
    const needs: string[] = [];
    if (!succeeds(() => this.neighbors.projectId(project))) return [`Project "${project}"`];
    for (const profile of described.container!.profiles) {
      if (!succeeds(() => this.neighbors.profileIds(project, [profile], () => invalid('missing')))) needs.push(`Profile "${profile}" in project "${project}"`);
    }
    const lookup = this.neighbors.networkLookup(this.database.read, project);
    for (const device of Object.values(described.container!.devices)) {
      const network = device['type'] === 'nic' ? device['network'] ?? '' : '';
      if (network !== '' && lookup(network) === undefined) needs.push(`Network "${network}" in project "${project}"`);
    }
    return needs;
  }

  private async bringBack(ctx: RequestContext, found: Found): Promise<void> {
    const { project, name, pool } = found;
    const params: CreateInstanceParams & { size: string } = { project, name, type: 'container', pool, size: '', fingerprint: '', remote: null };
    const host = await this.neighbors.hostDescription();
    const operation = await this.operations.schedule(ctx, recoverInstance.kind, params, {
      resources: instanceResources(params),
      reserve: (tx: Tx) => {
        const made = this.rows.reserve(tx, { project, name, type: 'container', pool }, found.described, found.snapshots, host);
        params.size = findRootDisk(made.expandedDevices).config.size ?? '';
      },
    }).catch((error: unknown) => { throw internal(`Failed to recover instance "${projectPrefixed(project, name)}": ${messageOf(error)}`, { cause: error }); });
    const { status, err } = await operation.wait();
    if (status !== 'Success') throw internal(`Failed to recover instance "${projectPrefixed(project, name)}": ${err}`);
  }

  private specOf(asked: RecoveryRequest['pools'][number]): PoolSpec {
    if (this.isKnown(asked.name)) return this.pools.spec(asked.name);
    if (asked.name === '' || asked.driver === '') throw invalid('Storage pool not found');
    return { name: asked.name, driver: asked.driver, config: asked.config };
  }

  private isKnown(pool: string): boolean {
    return succeeds(() => this.pools.get(pool));
  }
}

/** Whether something is there; any other failure is a failure. */
function succeeds(look: () => unknown): boolean {
  try {
    look();
    return true;
  } catch (error) {
    if (AppError.is(error, 'not-found') || AppError.is(error, 'invalid')) return false;
    throw error;
  }
}
