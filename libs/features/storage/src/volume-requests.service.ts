import { Injectable } from '@nestjs/common';
import { instanceVolumeKeys } from '#config-schema';
import type { StorageVolume, StorageVolumePost, StorageVolumePut, StorageVolumesPost, StorageVolumeState } from '#api-types';
import { internal, invalid, notFound, notImplemented, projectPrefixed, type RequestContext } from '#kernel';
import { StorageDriver } from '#ports';
import { Database, TransactionRunner, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { VolumesRepository, imageProject, type VolumeKey, type VolumeRow } from './data/volumes.repository.js';
import { PoolUsers } from './pool-users.service.js';
import { PoolsService } from './pools.service.js';
import { volumeType, type VolumeType } from './rules/names.rules.js';
import { compact, validate, type Config } from './rules/pool-config.rules.js';

/** Volumes as the API shows and changes them. What other features need is in `VolumesService`. */
@Injectable()
export class VolumeRequests {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly pools: PoolsService,
    private readonly users: PoolUsers,
    private readonly driver: StorageDriver,
    private readonly events: EventBus,
  ) {}

  /** Volumes of a project, or of all: its instances', its custom ones, and images, which belong to everybody. */
  list(pool: string, options: { project: string; allProjects: boolean; type?: string }): VolumeRow[] {
    const type = options.type === undefined ? undefined : volumeType(options.type);
    this.pools.get(pool);
    if (!options.allProjects) this.volumes.requireProject(this.database.read, options.project);
    return this.volumes.listByPool(this.database.read, pool).filter((row) =>
      (type === undefined || row.type === type) && (options.allProjects || row.type === 'image' || row.project === options.project));
  }

  get(pool: string, type: string, project: string, name: string): VolumeRow {
    const key = this.key(pool, type, project, name);
    this.pools.get(pool);
    return this.volumes.get(this.database.read, key);
  }

  api(row: VolumeRow): StorageVolume {
    return {
      config: row.config, description: row.description, name: row.name, type: row.type,
      used_by: this.users.usersOfVolume(this.database.read, row), location: row.location, content_type: row.contentType,
      project: row.project, created_at: row.createdAt,
    };
  }

  async state(pool: string, type: string, project: string, name: string): Promise<StorageVolumeState> {
    const key = this.key(pool, type, project, name);
    if (key.type === 'image') throw invalid('Invalid storage volume type "image"');
    const spec = this.pools.spec(pool);
    if (this.volumes.find(this.database.read, key) === undefined) throw notFound(key.type === 'custom' ? 'Storage pool volume not found' : 'Instance not found');
    const usage = await this.driver.describeVolume({ pool: spec, kind: key.type, name: projectPrefixed(key.project, key.name) });
    if (usage.usedBytes < 0) throw internal('Not supported');
    return { usage: { used: usage.usedBytes, total: usage.totalBytes } };
  }

  /** Only custom volumes are made through this part of the API. */
  create(pool: string, request: StorageVolumesPost): never {
    if (request.name === '') throw invalid('No name provided');
    if (request.name.includes('/')) throw invalid('Storage volume names may not contain slashes');
    if (request.type !== 'custom') throw invalid(`Currently not allowed to create storage volumes of type "${request.type}"`);
    this.pools.get(pool);
    throw notImplemented('Custom storage volumes are not supported by this server');
  }

  async replace(ctx: RequestContext, key: VolumeKey, request: StorageVolumePut, ifMatch: string | undefined): Promise<void> {
    const config = compact(request.config);
    await this.runner.run(ctx, (tx) => {
      this.pools.specIn(tx, key.pool);
      const row = this.volumes.get(tx.sql, key);
      checkEtag(ifMatch, etagOfVolume(row));
      if (row.type === 'image' && Object.keys(config).length > 0) throw invalid('Volume config is not editable');
      if (row.type !== 'image') validateInstanceVolume(row, config);
      this.volumes.update(tx, row.id, { description: request.description ?? '', config: row.type === 'image' ? row.config : config });
      this.announce(tx, ctx, 'storage-volume-updated', key);
    });
  }

  /** LXD merges into custom volumes only. */
  merge(key: VolumeKey): never {
    if (key.type !== 'custom') throw invalid(`Invalid storage volume type "${key.type}"`);
    throw notFound('Storage pool volume not found');
  }

  rename(key: VolumeKey, request: StorageVolumePost): never {
    if (request.name === '' && request.pool === '') throw invalid('No name provided');
    if (key.type !== 'custom') throw invalid(`Renaming storage volumes of type "${key.type}" is not allowed`);
    throw notFound('Storage pool volume not found');
  }

  /** No volume has snapshots: neither instances nor custom volumes can make them. */
  snapshots(pool: string, type: string): string[] {
    volumeType(type);
    this.pools.get(pool);
    return [];
  }

  createSnapshot(key: VolumeKey): never {
    this.pools.get(key.pool);
    if (key.type !== 'custom') throw invalid(`Invalid storage volume type "${key.type}"`);
    throw notFound('Storage pool volume not found');
  }

  snapshot(key: VolumeKey): never {
    this.pools.get(key.pool);
    throw notFound('Storage pool volume not found');
  }

  async delete(ctx: RequestContext, key: VolumeKey): Promise<void> {
    if (key.type !== 'image' && key.type !== 'custom') throw invalid(`Storage volumes of type "${key.type}" cannot be deleted with the storage API`);
    this.volumes.get(this.database.read, key);
    const spec = this.pools.spec(key.pool);
    await this.driver.destroyVolume({ pool: spec, kind: key.type, name: key.type === 'custom' ? `${key.project}_${key.name}` : key.name });
    await this.runner.run(ctx, (tx) => {
      this.volumes.delete(tx, key);
      this.announce(tx, ctx, 'storage-volume-deleted', key);
    });
  }

  /** Reads the parts of a URL; image volumes are found from every project. */
  key(pool: string, type: string, project: string, name: string): VolumeKey {
    const kind: VolumeType = volumeType(type);
    return { pool, type: kind, project: kind === 'image' ? imageProject : project, name };
  }

  /** LXD names the type in the plural here and nowhere else. */
  private announce(tx: Tx, ctx: RequestContext, action: string, { pool, type, name, project }: VolumeKey): void {
    const plural = type === 'custom' ? type : `${type}s`;
    const source = apiUrl(['1.0', 'storage-pools', pool, 'volumes', plural, name], project);
    tx.afterCommit(() => this.events.lifecycle({ action, source, project, requestor: ctx.requestor }));
  }
}

/** What the ETag of a volume covers. */
export function etagOfVolume({ name, type, config }: Pick<VolumeRow, 'name' | 'type' | 'config'>): unknown {
  return [name, type, config];
}

function validateInstanceVolume(row: VolumeRow, config: Config): void {
  if (config['size'] !== undefined) throw invalid('Volume "size" property is not valid for volume type');
  validate(instanceVolumeKeys, config,
    (name) => `Invalid option for volume "${row.name}" option "${name}"`,
    (name) => `Invalid value for volume "${row.name}" option "${name}"`);
}
