import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { instanceVolumeKeys } from '#config-schema';
import type { StorageVolume, StorageVolumePost, StorageVolumePut, StorageVolumesPost, StorageVolumeState } from '#api-types';
import { internal, invalid, notFound, notImplemented, projectPrefixed, type RequestContext } from '#kernel';
import { Peers, StorageDriver, type VolumeSpec, type VolumeUsage } from '#ports';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { VolumesRepository, imageProject, type VolumeKey, type VolumeRow } from './data/volumes.repository.js';
import { ClusterPools } from './cluster-pools.service.js';
import { PoolUsers } from './pool-users.service.js';
import { PoolsService } from './pools.service.js';
import { volumeType, volumeTypes, type VolumeType } from './rules/names.rules.js';
import { compact, validate, type Config } from './rules/pool-config.rules.js';

/** A volume as its member's driver knows it. */
const namedVolume = z.object({ pool: z.string(), kind: z.enum(volumeTypes), name: z.string() });

/** Volumes as the API shows and changes them. What other features need is in `VolumesService`. */
@Injectable()
export class VolumeRequests {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly pools: PoolsService,
    private readonly cluster: ClusterPools,
    private readonly users: PoolUsers,
    private readonly peers: Peers,
    private readonly events: EventBus,
    driver: StorageDriver,
  ) {
    peers.handle('storage.describe-volume', (request) => driver.describeVolume(this.specHere(request)));
    peers.handle('storage.destroy-volume', (request) => driver.destroyVolume(this.specHere(request)));
  }

  /** With the member in it where it takes one to find the volume. */
  url(row: VolumeRow): string {
    return this.users.volumeUrl(row);
  }

  /** Volumes of a project, or of all: its instances', its custom ones, and images, which belong to everybody. On all members, or the one named. */
  list(pool: string, options: { project: string; allProjects: boolean; type?: string; target?: string }): VolumeRow[] {
    const type = options.type === undefined ? undefined : volumeType(options.type);
    const member = this.cluster.memberNamed(options.target ?? '');
    this.pools.get(pool);
    if (!options.allProjects) this.volumes.requireProject(this.database.read, options.project);
    return this.volumes.listByPool(this.database.read, pool).filter((row) =>
      (member === undefined || row.memberId === member.id) && (type === undefined || row.type === type) && (options.allProjects || row.type === 'image' || row.project === options.project));
  }

  get(pool: string, type: string, project: string, name: string, target = ''): VolumeRow {
    const key = this.key(pool, type, project, name, target);
    this.pools.get(pool);
    return this.located(this.database.read, key);
  }

  api(row: VolumeRow): StorageVolume {
    return {
      config: row.config, description: row.description, name: row.name, type: row.type,
      used_by: this.users.usersOfVolume(this.database.read, row), location: row.location, content_type: row.contentType,
      project: row.project, created_at: row.createdAt,
    };
  }

  async state(pool: string, type: string, project: string, name: string, target = ''): Promise<StorageVolumeState> {
    const key = this.key(pool, type, project, name, target);
    if (key.type === 'image') throw invalid('Invalid storage volume type "image"');
    this.pools.get(pool);
    const row = this.volumes.locate(this.database.read, key);
    if (row === undefined) throw notFound(key.type === 'custom' ? 'Storage pool volume not found' : 'Instance not found');
    const usage = await this.peers.call<VolumeUsage>(row.memberId, 'storage.describe-volume', volumeName(row), { timeoutMs: 0 });
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
      const row = this.located(tx.sql, key);
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
    const row = this.located(this.database.read, key);
    await this.peers.call(row.memberId, 'storage.destroy-volume', volumeName(row), { timeoutMs: 0, requestor: ctx.requestor });
    await this.runner.run(ctx, (tx) => {
      this.volumes.delete(tx, row);
      this.announce(tx, ctx, 'storage-volume-deleted', key);
    });
  }

  /** Reads the parts of a URL; image volumes are found from every project. */
  key(pool: string, type: string, project: string, name: string, target = ''): VolumeKey {
    const kind: VolumeType = volumeType(type);
    return { pool, type: kind, project: kind === 'image' ? imageProject : project, name, memberId: this.cluster.memberNamed(target)?.id };
  }

  private located(sql: Sql, key: VolumeKey): VolumeRow {
    const row = this.volumes.locate(sql, key);
    if (row === undefined) throw notFound('Storage pool volume not found');
    return row;
  }

  private specHere(request: unknown): VolumeSpec {
    const { pool, kind, name } = namedVolume.parse(request);
    return { pool: this.pools.spec(pool), kind, name };
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

function volumeName({ pool, type, project, name }: VolumeRow): z.infer<typeof namedVolume> {
  return { pool, kind: type, name: type === 'image' ? name : type === 'custom' ? `${project}_${name}` : projectPrefixed(project, name) };
}
