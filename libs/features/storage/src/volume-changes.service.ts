import { Injectable } from '@nestjs/common';
import type { StorageVolumePost, StorageVolumePut, StorageVolumesPost } from '#api-types';
import { invalid, notImplemented, type RequestContext } from '#kernel';
import { emptyResponse, syncResponse, type ApiResponse } from '#platform/http';
import { ProjectsService } from '#features/projects';
import { CustomVolumes } from './custom/custom-volumes.service.js';
import { VolumeRequests } from './volume-requests.service.js';
import type { VolumeInUrl } from './api/volume-url.js';
import type { VolumeKey } from './data/volumes.repository.js';

/** Requests that change volumes, told apart by the type of the volume and by what they ask for. */
@Injectable()
export class VolumeChanges {
  constructor(
    private readonly volumes: VolumeRequests,
    private readonly custom: CustomVolumes,
    private readonly projects: ProjectsService,
  ) {}

  async create(ctx: RequestContext, pool: string, request: StorageVolumesPost): Promise<ApiResponse> {
    const project = this.projects.volumeProject(ctx.project);
    this.custom.checkNew(pool, project, request);
    const source = request.source?.['type'] ?? '';
    if (source !== '' && source !== 'copy' && source !== 'migration') throw invalid(`Unknown source type "${String(source)}"`);
    if (source === 'migration' || (request.source?.['name'] ?? '') !== '') throw notImplemented('Copying storage volumes is not supported by this server');
    await this.custom.create(ctx, pool, project, request);
    return emptyResponse();
  }

  async replace(ctx: RequestContext, volume: VolumeInUrl, request: StorageVolumePut, ifMatch: string | undefined): Promise<void> {
    const key = this.key(volume);
    if (key.type !== 'custom') return this.volumes.replace(ctx, key, request, ifMatch);
    await this.custom.update(ctx, key, request, { merge: false, ifMatch });
  }

  /** LXD merges into custom volumes only. */
  async merge(ctx: RequestContext, volume: VolumeInUrl, request: StorageVolumePut, ifMatch: string | undefined): Promise<void> {
    await this.custom.update(ctx, this.customKey(volume), request, { merge: true, ifMatch });
  }

  async rename(ctx: RequestContext, volume: VolumeInUrl, request: StorageVolumePost): Promise<ApiResponse> {
    if (request.name === '') throw invalid('No name provided');
    const key = this.key(volume);
    if (key.type !== 'custom') throw invalid(`Renaming storage volumes of type "${key.type}" is not allowed`);
    await this.custom.rename(ctx, key, request.name);
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
    if (key.type !== 'custom') throw invalid(`Invalid storage volume type "${key.type}"`);
    return key;
  }
}
