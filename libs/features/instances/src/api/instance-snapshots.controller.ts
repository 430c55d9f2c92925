import { Controller } from '@nestjs/common';
import {
  instanceSnapshotPost, instanceSnapshotPut, instanceSnapshotsPost,
  type InstanceSnapshot, type InstanceSnapshotPost, type InstanceSnapshotPut, type InstanceSnapshotsPost,
} from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, Delete, filterList, Get, IfMatch, operationResponse, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse } from '#platform/http';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { etagOfSnapshot, InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { instanceFirst, projectFirst } from './instance-first.js';
import { collections, Tree } from './instance-tree.js';

@Controller(collections.map((path) => `${path}/:name/snapshots`))
export class InstanceSnapshotsController {
  constructor(
    private readonly instances: InstancesService,
    private readonly snapshots: InstanceSnapshots,
    private readonly requests: SnapshotRequests,
  ) {}

  @Get()
  async list(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Query('recursion') recursion?: string, @Query('filter') filter?: string,
  ): Promise<string[] | InstanceSnapshot[]> {
    const instance = await this.instances.find(ctx.project, name, tree);
    if (parseRecursion(recursion) === 0) return this.snapshots.urls(instance);
    return filterList(filter, await this.snapshots.measured(instance, this.snapshots.list(instance)));
  }

  @Post()
  @projectFirst
  @instanceFirst
  async create(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instanceSnapshotsPost }) body: InstanceSnapshotsPost): Promise<ApiResponse> {
    return operationResponse(await this.requests.create(ctx, await this.instances.get(ctx.project, name, tree), body));
  }

  @Get(':snapshot')
  async get(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('snapshot') snapshot: string): Promise<ApiResponse> {
    const instance = await this.instances.find(ctx.project, name, tree);
    const row = this.snapshots.get(instance, snapshot);
    return syncResponse((await this.snapshots.measured(instance, [row]))[0], { etag: etagOfSnapshot(row) });
  }

  @Put(':snapshot')
  @instanceFirst
  async replace(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('snapshot') snapshot: string,
    @Body({ schema: instanceSnapshotPut }) body: InstanceSnapshotPut, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    const instance = await this.instances.get(ctx.project, name, tree);
    return operationResponse(await this.requests.update(ctx, instance, this.snapshots.get(instance, snapshot), body, { ifMatch, merge: false }));
  }

  @Patch(':snapshot')
  @instanceFirst
  async merge(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('snapshot') snapshot: string,
    @Body({ schema: instanceSnapshotPut }) body: InstanceSnapshotPut, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    const instance = await this.instances.get(ctx.project, name, tree);
    return operationResponse(await this.requests.update(ctx, instance, this.snapshots.get(instance, snapshot), body, { ifMatch, merge: true }));
  }

  @Post(':snapshot')
  @instanceFirst
  async rename(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('snapshot') snapshot: string,
    @Body({ schema: instanceSnapshotPost }) body: InstanceSnapshotPost,
  ): Promise<ApiResponse> {
    const instance = await this.instances.get(ctx.project, name, tree);
    return operationResponse(await this.requests.rename(ctx, instance, this.snapshots.get(instance, snapshot), body));
  }

  @Delete(':snapshot')
  async delete(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('snapshot') snapshot: string): Promise<ApiResponse> {
    const instance = await this.instances.get(ctx.project, name, tree);
    return operationResponse(await this.requests.delete(ctx, instance, this.snapshots.get(instance, snapshot)));
  }
}
