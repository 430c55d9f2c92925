import { Injectable } from '@nestjs/common';
import type { StorageVolumePost, StorageVolumePut, StorageVolumesPost } from '#api-types';
import { invalid, type RequestContext } from '#kernel';
import { emptyResponse, operationResponse, syncResponse, type ApiResponse } from '#platform/http';
import { ProjectsService } from '#features/projects';
import { CustomVolumeCopies } from './custom/copies/custom-volume-copies.service.js';
import { VolumeMigrationRequests } from './custom/migrations/volume-migration-requests.service.js';
import { CustomVolumes } from './custom/custom-volumes.service.js';
import { requireCustom, VolumeSnapshotRequests } from './custom/snapshots/volume-snapshot-requests.service.js';
import { VolumeRequests } from './volume-requests.service.js';
import type { VolumeInUrl } from './api/volume-url.js';
import type { VolumeKey } from './data/volumes.repository.js';

/** Requests that change volumes, told apart by the type of the volume and by what they ask for. */
@Injectable()
export class VolumeChanges {
  constructor(
    private readonly volumes: VolumeRequests,
    private readonly custom: CustomVolumes,
    private readonly snapshots: VolumeSnapshotRequests,
    private readonly copies: CustomVolumeCopies,
    private readonly projects: ProjectsService,
    private readonly migrations: VolumeMigrationRequests,
  ) {}

  async create(ctx: RequestContext, pool: string, request: StorageVolumesPost): Promise<ApiResponse> {
    const project = this.volumes.customProject(ctx.project);
    const source = request.source ?? {};
    const { type = '', name = '' } = source;
    this.custom.checkRequest(pool, request);
    const refresh = (type === 'copy' ? name !== '' : type === 'migration') && this.copies.isRefresh(pool, project, request.name, source);
    if (!refresh) this.custom.refuseTaken(pool, project, request.name);
    if (type === 'migration') return operationResponse(await this.migrations.receive(ctx, pool, project, request, source));
    if (type !== '' && type !== 'copy') throw invalid(`Unknown source type "${type}"`);
    if (refresh) return operationResponse(await this.copies.refresh(ctx, pool, project, request.name, source));
    if (name !== '') return operationResponse(await this.copies.copy(ctx, pool, project, request, source));
    await this.custom.create(ctx, pool, project, request);
    return emptyResponse();
  }

  async replace(ctx: RequestContext, volume: VolumeInUrl, request: StorageVolumePut, ifMatch: string | undefined): Promise<void> {
    const key = this.key(volume);
    if (key.type !== 'custom') return this.volumes.replace(ctx, key, request, ifMatch);
    if (request.restore) return this.snapshots.restore(ctx, key, request.restore);
    await this.custom.update(ctx, key, request, { merge: false, ifMatch });
  }

  /** LXD merges into custom volumes only. */
  async merge(ctx: RequestContext, volume: VolumeInUrl, request: StorageVolumePut, ifMatch: string | undefined): Promise<void> {
    await this.custom.update(ctx, this.customKey(volume), request, { merge: true, ifMatch });
  }

  /** A rename where pool and project stay, else a move. */
  async rename(ctx: RequestContext, volume: VolumeInUrl, request: StorageVolumePost): Promise<ApiResponse> {
    const { name, pool, project } = request;
    if (name === '') throw invalid('No name provided');
    if (name.includes('/')) throw invalid('Storage volume names may not contain slashes');
    const key = this.key(volume);
    if (key.type !== 'custom') throw invalid(`Renaming storage volumes of type "${key.type}" is not allowed`);
    if (request.migration === true) return operationResponse(await this.migrations.send(ctx, key, request));
    const to = { name, pool: pool || key.pool, project: project === '' ? key.project : this.projects.volumeProject(project) };
    if (to.pool !== key.pool || to.project !== key.project) return operationResponse(await this.copies.move(ctx, key, to));
    await this.custom.rename(ctx, key, name);
    return syncResponse(null);
  }

  async delete(ctx: RequestContext, volume: VolumeInUrl): Promise<void> {
    const key = this.key(volume);
    await (key.type === 'custom' ? this.custom.delete(ctx, key) : this.volumes.delete(ctx, key));
  }

  private key({ pool, type, project, name, target }: VolumeInUrl): VolumeKey {
    return this.volumes.key(pool, type, project, name, target);
  }

  private customKey(volume: VolumeInUrl): VolumeKey {
    const key = this.key(volume);
    requireCustom(key);
    return key;
  }
}
