import { Controller } from '@nestjs/common';
import {
  storageVolumePost, storageVolumePut, storageVolumesPost,
  type StorageVolumePost, type StorageVolumePut, type StorageVolumesPost, type StorageVolumeState,
} from '#api-types';
import type { RequestContext } from '#kernel';
import {
  Body, Ctx, Delete, emptyResponse, filterList, Get, IfMatch, isAllProjects, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse,
} from '#platform/http';
import { etagOfVolume, VolumeRequests } from '../volume-requests.service.js';

type ListQuery = Readonly<Record<string, string | undefined>>;

@Controller('/1.0/storage-pools/:pool/volumes')
export class StorageVolumesController {
  constructor(private readonly volumes: VolumeRequests) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Query() query: ListQuery): unknown[] {
    return this.listed(ctx, pool, undefined, query);
  }

  @Post()
  create(@Param('pool') pool: string, @Body({ schema: storageVolumesPost }) body: StorageVolumesPost): never {
    return this.volumes.create(pool, body);
  }

  @Get(':type')
  listType(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Query() query: ListQuery): unknown[] {
    return this.listed(ctx, pool, type, query);
  }

  @Post(':type')
  createType(@Param('pool') pool: string, @Param('type') type: string, @Body({ schema: storageVolumesPost }) body: StorageVolumesPost): never {
    return this.volumes.create(pool, { ...body, type });
  }

  @Get(':type/:name')
  get(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Param('name') name: string, @Query('target') target?: string): ApiResponse {
    const row = this.volumes.get(pool, type, ctx.project, name, target);
    return syncResponse(this.volumes.api(row), { etag: etagOfVolume(row) });
  }

  @Post(':type/:name')
  rename(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Param('name') name: string, @Body({ schema: storageVolumePost }) body: StorageVolumePost): never {
    return this.volumes.rename(this.volumes.key(pool, type, ctx.project, name), body);
  }

  @Put(':type/:name')
  async replace(
    @Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Param('name') name: string,
    @Body({ schema: storageVolumePut }) body: StorageVolumePut, @Query('target') target?: string, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    await this.volumes.replace(ctx, this.volumes.key(pool, type, ctx.project, name, target), body, ifMatch);
    return emptyResponse();
  }

  @Patch(':type/:name')
  merge(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Param('name') name: string): never {
    return this.volumes.merge(this.volumes.key(pool, type, ctx.project, name));
  }

  @Delete(':type/:name')
  async delete(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Param('name') name: string, @Query('target') target?: string): Promise<ApiResponse> {
    await this.volumes.delete(ctx, this.volumes.key(pool, type, ctx.project, name, target));
    return emptyResponse();
  }

  @Get(':type/:name/state')
  state(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Param('name') name: string, @Query('target') target?: string): Promise<StorageVolumeState> {
    return this.volumes.state(pool, type, ctx.project, name, target);
  }

  @Get(':type/:name/snapshots')
  snapshots(@Param('pool') pool: string, @Param('type') type: string): string[] {
    return this.volumes.snapshots(pool, type);
  }

  @Post(':type/:name/snapshots')
  createSnapshot(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Param('name') name: string): never {
    return this.volumes.createSnapshot(this.volumes.key(pool, type, ctx.project, name));
  }

  @Get(':type/:name/snapshots/:snapshot')
  snapshot(@Ctx() ctx: RequestContext, @Param('pool') pool: string, @Param('type') type: string, @Param('name') name: string): never {
    return this.volumes.snapshot(this.volumes.key(pool, type, ctx.project, name));
  }

  private listed(ctx: RequestContext, pool: string, type: string | undefined, query: ListQuery): unknown[] {
    const rows = this.volumes.list(pool, { project: ctx.project, allProjects: isAllProjects(query), type, target: query['target'] });
    if (parseRecursion(query['recursion']) > 0) return filterList(query['filter'], rows.map((row) => this.volumes.api(row)));
    const matching = query['filter'] ? filterList(query['filter'], rows, (row) => this.volumes.api(row)) : rows;
    return matching.map((row) => this.volumes.url(row));
  }
}
