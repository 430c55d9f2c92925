import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { instanceVolumeKeys } from '#config-schema';
import type { StorageVolume, StorageVolumePut, StorageVolumeState } from '#api-types';
import { internal, invalid, notFound, projectPrefixed, wrap, type RequestContext } from '#kernel';
import { Peers, StorageDriver, type VolumeSpec, type VolumeUsage } from '#ports';
import { Database, TransactionRunner } from '#platform/database';
import { checkEtag } from '#platform/http';
import { ProjectsService } from '#features/projects';
import { VolumesRepository, imageProject, type VolumeKey, type VolumeRow } from './data/volumes.repository.js';
import { ClusterPools } from './cluster-pools.service.js';
import { diskName } from './custom/custom-volume-host.js';
import { VolumeEvents } from './custom/volume-events.js';
import { VolumeUsers } from './custom/volume-users.service.js';
import { PoolUsers } from './pool-users.service.js';
import { PoolsService } from './pools.service.js';
import { volumeType, volumeTypes, type VolumeType } from './rules/names.rules.js';
import { compact, validate, type Config } from './rules/pool-config.rules.js';

/** A volume as its member's driver knows it. */
const namedVolume = z.object({ pool: z.string(), kind: z.enum(volumeTypes), name: z.string(), block: z.boolean() });

/** Volumes as the API shows them, and changes of those that are not custom. What other features need is in `VolumesService`. */
@Injectable()
export class VolumeRequests {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly volumes: VolumesRepository,
    private readonly pools: PoolsService,
    private readonly cluster: ClusterPools,
    private readonly pool: PoolUsers,
    private readonly users: VolumeUsers,
    private readonly projects: ProjectsService,
    private readonly peers: Peers,
    private readonly events: VolumeEvents,
    driver: StorageDriver,
  ) {
    peers.handle('storage.describe-volume', (request) => driver.describeVolume(this.specHere(request)));
    peers.handle('storage.destroy-volume', (request) => driver.destroyVolume(this.specHere(request)));
  }

  /** With the member in it where it takes one to find the volume. */
  url(row: VolumeRow): string {
    return this.pool.volumeUrl(row);
  }

  /** Volumes of a project, or of all: its instances', the custom ones it sees, and images, which belong to everybody. On all members, or the one named. */
  list(pool: string, options: { project: string; allProjects: boolean; type?: string; target?: string }): VolumeRow[] {
    const type = options.type === undefined ? undefined : volumeType(options.type);
    const member = this.cluster.memberNamed(options.target ?? '');
    this.pools.get(pool);
    const { project, allProjects } = options;
    const customProject = allProjects ? '' : this.projects.volumeProject(project);
    const isShown = (row: VolumeRow): boolean => allProjects || row.type === 'image' || row.project === (row.type === 'custom' ? customProject : project);
    return this.volumes.listByPool(this.database.read, pool).filter((row) =>
      (member === undefined || row.memberId === member.id) && (type === undefined || row.type === type) && isShown(row));
  }

  get(pool: string, type: string, project: string, name: string, target = ''): VolumeRow {
    return this.volumes.located(this.database.read, this.key(pool, type, project, name, target));
  }

  api(row: VolumeRow): StorageVolume {
    return {
      config: row.config, description: row.description, name: row.name, type: row.type,
      used_by: this.users.shown(this.database.read, row), location: row.location, content_type: row.contentType,
      project: row.project, created_at: row.createdAt,
    };
  }

  async state(pool: string, type: string, project: string, name: string, target = ''): Promise<StorageVolumeState> {
    const key = this.key(pool, type, project, name, target);
    if (key.type === 'image') throw invalid('Invalid storage volume type "image"');
    const row = this.volumes.locate(this.database.read, key);
    if (row === undefined) throw notFound(key.type === 'custom' ? `Storage volume "${name}" in project "${key.project}" of type "custom" does not exist on pool "${pool}": Storage volume not found` : 'Instance not found');
    const usage = await this.peers.call<VolumeUsage>(row.memberId, 'storage.describe-volume', volumeName(row), { timeoutMs: 0 });
    if (usage.usedBytes < 0) throw internal('Not supported');
    return { usage: { used: usage.usedBytes, total: usage.totalBytes } };
  }

  /** Of an instance's or image's volume. */
  async replace(ctx: RequestContext, key: VolumeKey, request: StorageVolumePut, ifMatch: string | undefined): Promise<void> {
    const config = compact(request.config);
    await this.runner.run(ctx, (tx) => {
      this.pools.specIn(tx, key.pool);
      const row = this.volumes.located(tx.sql, key);
      checkEtag(ifMatch, etagOfVolume(row));
      if (row.type === 'image' && Object.keys(config).length > 0) throw invalid('Volume config is not editable');
      if (row.type !== 'image') validateInstanceVolume(row, config);
      this.volumes.update(tx, row.id, { description: request.description ?? '', config: row.type === 'image' ? row.config : config });
      this.events.announce(tx, ctx, key, { action: 'storage-volume-updated' });
    });
  }

  /** Of an image: instances' volumes go with their instances. */
  async delete(ctx: RequestContext, key: VolumeKey): Promise<void> {
    const row = this.volumes.located(this.database.read, key);
    if (key.type !== 'image') throw invalid(`Storage volumes of type "${key.type}" cannot be deleted with the storage API`);
    await this.peers.call(row.memberId, 'storage.destroy-volume', volumeName(row), { timeoutMs: 0, requestor: ctx.requestor });
    await this.runner.run(ctx, (tx) => {
      this.volumes.delete(tx, row);
      this.events.announce(tx, ctx, key, { action: 'storage-volume-deleted' });
    });
  }

  /** Reads the parts of a URL, whose pool must be there; image volumes are found from every project, custom ones in the project whose volumes this one uses. */
  key(pool: string, type: string, project: string, name: string, target = ''): VolumeKey {
    const kind: VolumeType = volumeType(type);
    const owner = kind === 'image' ? imageProject : kind === 'custom' ? this.customProject(project) : project;
    this.pools.get(pool);
    return { pool, type: kind, project: owner, name, memberId: this.cluster.memberNamed(target)?.id };
  }

  /** Whose custom volumes a project sees. @throws `not-found` in LXD's words. */
  customProject(project: string): string {
    try {
      return this.projects.volumeProject(project);
    } catch (error) {
      throw wrap(error, `Failed to load project "${project}"`);
    }
  }

  private specHere(request: unknown): VolumeSpec {
    const { pool, kind, name, block } = namedVolume.parse(request);
    return { pool: this.pools.spec(pool), kind, name, ...(block ? { block } : {}) };
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

function volumeName({ pool, type, project, name, contentType }: VolumeRow): z.infer<typeof namedVolume> {
  const onDisk = type === 'image' ? name : type === 'custom' ? diskName(project, name) : projectPrefixed(project, name);
  return { pool, kind: type, name: onDisk, block: contentType === 'block' };
}
