import { Controller } from '@nestjs/common';
import { storagePoolPut, storagePoolsPost, type ResourcesStoragePool, type StoragePoolPut, type StoragePoolsPost } from '#api-types';
import { notImplemented, type RequestContext } from '#kernel';
import {
  apiUrl, Body, createdResponse, Ctx, Delete, emptyResponse, Get, IfMatch, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse,
} from '#platform/http';
import { etagOfPool, PoolsService } from '../pools.service.js';

@Controller('/1.0/storage-pools')
export class StoragePoolsController {
  constructor(private readonly pools: PoolsService) {}

  @Get()
  list(@Query('recursion') recursion?: string): unknown[] {
    const rows = this.pools.list();
    return parseRecursion(recursion) > 0 ? rows.map((row) => this.pools.api(row)) : rows.map(({ name }) => apiUrl(['1.0', 'storage-pools', name]));
  }

  @Post()
  async create(@Ctx() ctx: RequestContext, @Body({ schema: storagePoolsPost }) body: StoragePoolsPost): Promise<ApiResponse> {
    await this.pools.create(ctx, body);
    return createdResponse(apiUrl(['1.0', 'storage-pools', body.name]));
  }

  @Get(':name')
  get(@Param('name') name: string): ApiResponse {
    const row = this.pools.get(name);
    return syncResponse(this.pools.api(row), { etag: etagOfPool(row) });
  }

  @Post(':name')
  rename(): never {
    throw notImplemented('not implemented');
  }

  @Put(':name')
  async replace(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: storagePoolPut }) body: StoragePoolPut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.pools.update(ctx, name, body, { merge: false, ifMatch });
    return emptyResponse();
  }

  @Patch(':name')
  async merge(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: storagePoolPut }) body: StoragePoolPut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.pools.update(ctx, name, body, { merge: true, ifMatch });
    return emptyResponse();
  }

  @Delete(':name')
  async delete(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    await this.pools.delete(ctx, name);
    return emptyResponse();
  }

  @Get(':name/resources')
  resources(@Param('name') name: string): Promise<ResourcesStoragePool> {
    return this.pools.resources(name);
  }
}
