import { Controller } from '@nestjs/common';
import { storagePoolPut, storagePoolsPost, type ResourcesStoragePool, type StoragePoolPut, type StoragePoolsPost } from '#api-types';
import { notImplemented, type RequestContext } from '#kernel';
import {
  apiUrl, Body, createdResponse, Ctx, Delete, emptyResponse, Get, IfMatch, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse, LookFirst,
} from '#platform/http';
import { PoolsService } from '../pools.service.js';

const poolFirst = LookFirst(PoolsService, (pools, { params }) => pools.get(params['name'] ?? ''));

@Controller('/1.0/storage-pools')
export class StoragePoolsController {
  constructor(private readonly pools: PoolsService) {}

  @Get()
  list(@Query('recursion') recursion?: string): unknown[] {
    const rows = this.pools.list();
    return parseRecursion(recursion) > 0 ? rows.map((row) => this.pools.api(row)) : rows.map(({ name }) => apiUrl(['1.0', 'storage-pools', name]));
  }

  @Post()
  async create(@Ctx() ctx: RequestContext, @Body({ schema: storagePoolsPost }) body: StoragePoolsPost, @Query('target') target?: string): Promise<ApiResponse> {
    await this.pools.create(ctx, body, target);
    return createdResponse(apiUrl(['1.0', 'storage-pools', body.name]));
  }

  @Get(':name')
  get(@Param('name') name: string, @Query('target') target?: string): ApiResponse {
    const row = this.pools.get(name, target);
    return syncResponse(this.pools.api(row, target), { etag: this.pools.etag(row, target) });
  }

  @Post(':name')
  rename(): never {
    throw notImplemented('not implemented');
  }

  @Put(':name')
  @poolFirst
  async replace(
    @Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: storagePoolPut }) body: StoragePoolPut, @Query('target') target?: string, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    await this.pools.update(ctx, name, body, { merge: false, ifMatch, target });
    return emptyResponse();
  }

  @Patch(':name')
  @poolFirst
  async merge(
    @Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: storagePoolPut }) body: StoragePoolPut, @Query('target') target?: string, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    await this.pools.update(ctx, name, body, { merge: true, ifMatch, target });
    return emptyResponse();
  }

  @Delete(':name')
  async delete(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    await this.pools.delete(ctx, name);
    return emptyResponse();
  }

  @Get(':name/resources')
  resources(@Param('name') name: string, @Query('target') target?: string): Promise<ResourcesStoragePool> {
    return this.pools.resources(name, target);
  }
}
