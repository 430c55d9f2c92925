import type { IncomingHttpHeaders } from 'node:http';
import { finished } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import type { InstanceType } from '#api-types';
import { findRootDisk } from '#config-schema';
import { AppError, conflict, defaultProject, internal, invalid, messageOf, wrap, type RequestContext } from '#kernel';
import { Database, type Tx } from '#platform/database';
import type { RawRequestBody } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { BackupArchives, PoolsService, VolumesService, type BackupIndex } from '#features/storage';
import { ProfilesService } from '#features/profiles';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { instanceResources } from '../instance-urls.js';
import { checkInstanceName } from '../rules/instance-name.rules.js';
import { DescribedRows, ProfileMissing } from './described-rows.service.js';
import { importInstance } from './import-instance.operation.js';
import type { ImportInstanceParams } from './import-operation.params.js';

type Wanted = ImportInstanceParams & { size: string };

/**
 * `POST /1.0/instances` with an archive for a body. What LXD finds wrong with the archive itself is refused at once, what it finds wrong while it makes the instance ends
 * an operation here too.
 */
@Injectable()
export class InstanceImports {
  constructor(
    private readonly database: Database,
    private readonly operations: OperationsService,
    private readonly archives: BackupArchives,
    private readonly catalog: InstanceCatalog,
    private readonly repository: InstanceRepository,
    private readonly rows: DescribedRows,
    private readonly neighbors: InstanceNeighbors,
    private readonly profiles: ProfilesService,
    private readonly pools: PoolsService,
    private readonly volumes: VolumesService,
    private readonly events: InstanceLifecycleEvents,
  ) {}

  async import(ctx: RequestContext, body: RawRequestBody, headers: IncomingHttpHeaders): Promise<OperationHandle> {
    try {
      this.checkProject(ctx.project);
    } catch (error) {
      // A client hears the answer when it has sent everything.
      await finished(body.stream.resume()).catch(() => undefined);
      throw error;
    }
    return this.archives.receive(body.stream, (path) => this.schedule(ctx, path, { name: one(headers['x-lxd-name']), pool: one(headers['x-lxd-pool']) }));
  }

  private async schedule(ctx: RequestContext, archive: string, asked: { readonly name: string; readonly pool: string }): Promise<OperationHandle> {
    const index = await this.archives.inspect(archive);
    const { project } = ctx;
    const name = asked.name || index.name;
    const type = (index.type || 'container') as InstanceType;
    const pool = this.poolFor(project, asked.pool, index.pool);
    const params: Wanted = { project, name, type, pool, size: '', fingerprint: '', remote: null, archive, snapshots: index.snapshots, optimized: index.optimized };
    const host = await this.neighbors.hostDescription();
    try {
      const operation = await this.operations.schedule(ctx, importInstance.kind, params, { resources: instanceResources(params), reserve: (tx) => this.reserve(tx, params, index, host) });
      void operation.done.then(() => this.announceSnapshots(params));
      return operation;
    } catch (error) {
      if (AppError.is(error, 'unavailable')) throw error;
      return this.operations.runInMemory(ctx, {
        kind: importInstance.kind, class: 'task', description: importInstance.description, resources: instanceResources(params), run: () => Promise.reject(error),
      });
    }
  }

  private reserve(tx: Tx, params: Wanted, index: BackupIndex, host: Awaited<ReturnType<InstanceNeighbors['hostDescription']>>): void {
    const { project, name, type, pool } = params;
    const { driver } = this.pools.specIn(tx, pool);
    if (index.optimized && index.backend !== driver) throw invalid(`Optimized backup storage driver "${index.backend}" differs from the target storage pool driver "${driver}"`);
    if (type !== 'container') throw invalid(`Instance type "${type}" is not supported on this server: QEMU is not available`);
    if (index.config?.container === null || index.config === null) throw invalid('Create instance from backup: The backup does not describe its instance');
    if (this.volumes.findIn(tx, { project, name, type, pool }) !== undefined) throw conflict('Create instance from backup: Cannot restore volume, already exists on target');
    const prefix = 'Failed importing backup';
    if (this.repository.findByName(project, name, tx.sql) !== undefined) throw conflict(`${prefix}: The instance "${name}" seems to exist on multiple storage pools`);
    try {
      checkInstanceName(name);
      const made = this.rows.reserve(tx, { project, name, type, pool }, index.config, params.snapshots, host);
      // Stored with the operation, which is written after this, in the same transaction.
      params.size = findRootDisk(made.expandedDevices).config.size ?? '';
    } catch (error) {
      throw wrap(error, error instanceof ProfileMissing ? prefix : `${prefix}: Failed creating instance record`);
    }
  }

  /** The one asked for; else the backup's, or where there is none of that name, the default profile's. */
  private poolFor(project: string, asked: string, inBackup: string): string {
    for (const pool of asked === '' ? [inBackup, this.defaultPool(project)] : [asked]) {
      if (pool !== '' && this.pools.has(pool)) return pool;
    }
    throw internal('Storage pool not found: Storage pool not found');
  }

  private defaultPool(project: string): string {
    try {
      return findRootDisk(this.profiles.get(project, defaultProject).devices).config.pool ?? '';
    } catch {
      return '';
    }
  }

  private announceSnapshots({ project, name, snapshots }: Wanted): void {
    if (this.catalog.find(project, name)?.row.state !== 'Created') return;
    for (const snapshot of snapshots) this.events.send('snapshot-created', { project, name }, { path: ['snapshots', snapshot] });
  }

  private checkProject(project: string): void {
    try {
      this.neighbors.projectId(project, this.database.read);
    } catch (error) {
      throw AppError.is(error, 'not-found') ? internal(`Fetch project database object: ${messageOf(error)}`) : error;
    }
  }
}

function one(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? '';
}
