import { Controller } from '@nestjs/common';
import { clusterGroupPost, clusterGroupPut, clusterGroupsPost, type ClusterGroupPut, type ClusterGroupsPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, createdResponse, Ctx, DecidesInTransaction, Delete, emptyResponse, Get, LookFirst, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse } from '#platform/http';
import { ClusterGroups, groupUrl } from '../cluster-groups.service.js';

const clusterFirst = LookFirst(ClusterGroups, (groups) => groups.assertClustered());

@Controller('1.0/cluster/groups')
export class ClusterGroupsController {
  constructor(private readonly groups: ClusterGroups) {}

  @Get()
  list(@Query('recursion') recursion?: string): ApiResponse {
    const groups = this.groups.list();
    return syncResponse(parseRecursion(recursion) === 0 ? groups.map(({ name }) => groupUrl(name)) : groups);
  }

  @Post()
  @clusterFirst
  @DecidesInTransaction()
  async create(@Ctx() ctx: RequestContext, @Body({ schema: clusterGroupsPost }) body: ClusterGroupsPost): Promise<ApiResponse> {
    await this.groups.create(ctx, body);
    return createdResponse(groupUrl(body.name));
  }

  @Get(':name')
  get(@Param('name') name: string): ApiResponse {
    const group = this.groups.get(name);
    return syncResponse(group, { etag: group });
  }

  @Put(':name')
  @clusterFirst
  @DecidesInTransaction()
  async replace(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: clusterGroupPut }) body: ClusterGroupPut): Promise<ApiResponse> {
    await this.groups.update(ctx, name, body, { patch: false });
    return emptyResponse();
  }

  @Patch(':name')
  @clusterFirst
  @DecidesInTransaction()
  async change(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: clusterGroupPut }) body: ClusterGroupPut): Promise<ApiResponse> {
    await this.groups.update(ctx, name, body, { patch: true });
    return emptyResponse();
  }

  @Post(':name')
  @clusterFirst
  @DecidesInTransaction()
  async rename(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: clusterGroupPost }) body: { name: string }): Promise<ApiResponse> {
    await this.groups.rename(ctx, name, body.name);
    return createdResponse(groupUrl(body.name));
  }

  @Delete(':name')
  @DecidesInTransaction()
  async remove(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    await this.groups.remove(ctx, name);
    return emptyResponse();
  }
}
