import type { IncomingHttpHeaders } from 'node:http';
import { Controller } from '@nestjs/common';
import {
  storageVolumePost, storageVolumePut, storageVolumesPost,
  type StorageVolumePost, type StorageVolumePut, type StorageVolumesPost, type StorageVolumeState,
} from '#api-types';
import type { RequestContext } from '#kernel';
import {
  Body, Ctx, Delete, emptyResponse, filterList, Get, IfMatch, isAllProjects, LookFirst, operationResponse, Param, parseRecursion, Patch, Post, Put, Query, RawBody, RequestHeaders, Streaming, syncResponse, validateBody,
  type ApiResponse, type RawRequestBody,
} from '#platform/http';
import { isArchive } from '../backups/archive-body.rules.js';
import { VolumeImports } from '../custom/backups/volume-imports.service.js';
import { VolumeChanges } from '../volume-changes.service.js';
import { etagOfVolume, VolumeRequests } from '../volume-requests.service.js';
import { volumeFirst } from './volume-first.js';
import { OneVolume, type VolumeInUrl } from './volume-url.js';

type ListQuery = Readonly<Record<string, string | undefined>>;

@Controller('/1.0/storage-pools/:pool/volumes')
export class StorageVolumesController {
  constructor(private readonly volumes: VolumeRequests, private readonly changes: VolumeChanges, private readonly imports: VolumeImports) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Query() query: ListQuery): unknown[] {
    return this.listed(ctx, pool, undefined, query);
  }

  @Post()
  create(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Body({ schema: storageVolumesPost }) body: StorageVolumesPost): Promise<ApiResponse> {
    return this.changes.create(ctx, pool, body);
  }

  @Get(':type')
  listType(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Query() query: ListQuery): unknown[] {
    return this.listed(ctx, pool, type, query);
  }

  @Post(':type')
  @LookFirst(VolumeRequests, (volumes, { ctx, params }) => params['type'] === 'custom' && volumes.customProject(ctx.project))
  @Streaming()
  async createType(
    @Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @RawBody() body: RawRequestBody, @RequestHeaders() headers: IncomingHttpHeaders,
  ): Promise<ApiResponse> {
    if (isArchive(body.contentType)) return operationResponse(await this.imports.import(ctx, pool, body, headers));
    return this.changes.create(ctx, pool, { ...(await validateBody<StorageVolumesPost>(storageVolumesPost, await body.json())), type });
  }

  @Get(':type/:name')
  get(@OneVolume() { pool, type, project, name, target }: VolumeInUrl): ApiResponse {
    const row = this.volumes.get(pool, type, project, name, target);
    return syncResponse(this.volumes.api(row), { etag: etagOfVolume(row) });
  }

  @Post(':type/:name')
  rename(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Body({ schema: storageVolumePost }) body: StorageVolumePost): Promise<ApiResponse> {
    return this.changes.rename(ctx, volume, body);
  }

  @Put(':type/:name')
  @volumeFirst
  async replace(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Body({ schema: storageVolumePut }) body: StorageVolumePut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.changes.replace(ctx, volume, body, ifMatch);
    return emptyResponse();
  }

  @Patch(':type/:name')
  @volumeFirst
  async merge(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Body({ schema: storageVolumePut }) body: StorageVolumePut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.changes.merge(ctx, volume, body, ifMatch);
    return emptyResponse();
  }

  @Delete(':type/:name')
  async delete(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl): Promise<ApiResponse> {
    await this.changes.delete(ctx, volume);
    return emptyResponse();
  }

  @Get(':type/:name/state')
  state(@OneVolume() { pool, type, project, name, target }: VolumeInUrl): Promise<StorageVolumeState> {
    return this.volumes.state(pool, type, project, name, target);
  }

  private listed(ctx: RequestContext, pool: string, type: string | undefined, query: ListQuery): unknown[] {
    const rows = this.volumes.list(pool, { project: ctx.project, allProjects: isAllProjects(query), type, target: query['target'] });
    if (parseRecursion(query['recursion']) > 0) return filterList(query['filter'], rows.map((row) => this.volumes.api(row)));
    const matching = query['filter'] ? filterList(query['filter'], rows, (row) => this.volumes.api(row)) : rows;
    return matching.map((row) => this.volumes.url(row));
  }
}
