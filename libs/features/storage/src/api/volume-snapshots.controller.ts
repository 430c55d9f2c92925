import { Controller } from '@nestjs/common';
import {
  storageVolumeSnapshotPost, storageVolumeSnapshotPut, storageVolumeSnapshotsPost,
  type StorageVolumeSnapshotPost, type StorageVolumeSnapshotPut, type StorageVolumeSnapshotsPost,
} from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, Delete, emptyResponse, Get, IfMatch, operationResponse, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse } from '#platform/http';
import { requireCustom, VolumeSnapshotRequests } from '../custom/snapshots/volume-snapshot-requests.service.js';
import { VolumeRequests } from '../volume-requests.service.js';
import { etagOfVolumeSnapshot, VolumeSnapshotViews } from '../volume-snapshot-views.service.js';
import { volumeFirst } from './volume-first.js';
import { OneVolume, type VolumeInUrl } from './volume-url.js';

/** Snapshots of instances are made and removed with their instances, here they are shown and described. */
@Controller('/1.0/storage-pools/:pool/volumes/:type/:name/snapshots')
export class VolumeSnapshotsController {
  constructor(
    private readonly volumes: VolumeRequests,
    private readonly views: VolumeSnapshotViews,
    private readonly snapshots: VolumeSnapshotRequests,
  ) {}

  @Get()
  list(@OneVolume() volume: VolumeInUrl, @Query('recursion') recursion?: string): unknown[] {
    return parseRecursion(recursion) > 0 ? this.views.list(volume) : this.views.urls(volume);
  }

  @Post()
  @volumeFirst
  async create(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Body({ schema: storageVolumeSnapshotsPost }) body: StorageVolumeSnapshotsPost): Promise<ApiResponse> {
    return operationResponse(await this.snapshots.create(ctx, this.custom(volume), { name: body.name, expiresAt: body.expires_at }));
  }

  @Get(':snapshot')
  get(@OneVolume() volume: VolumeInUrl, @Param('snapshot') name: string): ApiResponse {
    const { row, snapshot } = this.views.get(volume, name);
    return syncResponse(this.views.api(row, snapshot), { etag: etagOfVolumeSnapshot(row, snapshot) });
  }

  @Post(':snapshot')
  @volumeFirst
  async rename(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Param('snapshot') name: string, @Body({ schema: storageVolumeSnapshotPost }) body: StorageVolumeSnapshotPost): Promise<ApiResponse> {
    return operationResponse(await this.snapshots.rename(ctx, this.custom(volume), name, body.name));
  }

  @Put(':snapshot')
  @volumeFirst
  async replace(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Param('snapshot') name: string, @Body({ schema: storageVolumeSnapshotPut }) body: StorageVolumeSnapshotPut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.snapshots.update(ctx, this.key(volume), name, body, { merge: false, ifMatch });
    return emptyResponse();
  }

  @Patch(':snapshot')
  @volumeFirst
  async merge(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Param('snapshot') name: string, @Body({ schema: storageVolumeSnapshotPut }) body: StorageVolumeSnapshotPut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.snapshots.update(ctx, this.key(volume), name, body, { merge: true, ifMatch });
    return emptyResponse();
  }

  @Delete(':snapshot')
  async delete(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Param('snapshot') name: string): Promise<ApiResponse> {
    return operationResponse(await this.snapshots.delete(ctx, this.custom(volume), name));
  }

  private key({ pool, type, project, name, target }: VolumeInUrl): ReturnType<VolumeRequests['key']> {
    return this.volumes.key(pool, type, project, name, target);
  }

  private custom(volume: VolumeInUrl): ReturnType<VolumeRequests['key']> {
    const key = this.key(volume);
    requireCustom(key);
    return key;
  }
}
