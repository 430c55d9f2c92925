import { Controller } from '@nestjs/common';
import { instancePatch, instancePost, instancePut, type InstancePost, type InstancePut } from '#api-types';
import { LocalMember, type RequestContext } from '#kernel';
import { Body, Ctx, Delete, emptyResponse, Get, IfMatch, operationResponse, Param, Patch, Post, Put, Query, syncResponse, type ApiResponse } from '#platform/http';
import { InstanceUpdate } from '../instance-update.service.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { MoveRequests } from '../moves/move-requests.service.js';
import { instanceFirst } from './instance-first.js';
import { collections, Tree } from './instance-tree.js';

@Controller(collections.map((path) => `${path}/:name`))
export class InstanceController {
  constructor(
    private readonly instances: InstancesService,
    private readonly updates: InstanceUpdate,
    private readonly moves: MoveRequests,
    private readonly self: LocalMember,
  ) {}

  @Get()
  async get(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Query('recursion') recursion: string | undefined): Promise<ApiResponse> {
    const instance = await this.instances.find(ctx.project, name, tree);
    return syncResponse(await this.instances.show(instance, recursion), { etag: this.instances.etag(instance) });
  }

  @Put()
  @instanceFirst
  async replace(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instancePut }) body: InstancePut, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    await this.instances.get(ctx.project, name, tree);
    return operationResponse(await this.updates.replace(ctx, { project: ctx.project, name, body, ifMatch, merge: false }));
  }

  @Patch()
  @instanceFirst
  async merge(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instancePatch }) body: InstancePut, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    await this.instances.get(ctx.project, name, tree);
    await this.updates.merge(ctx, { project: ctx.project, name, body, ifMatch, merge: true });
    return emptyResponse();
  }

  @Post()
  @instanceFirst
  async rename(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Query('target') target: string | undefined,
    @Body({ schema: instancePost }) body: InstancePost,
  ): Promise<ApiResponse> {
    const instance = await this.instances.get(ctx.project, name, tree);
    const moves = (target ?? '') !== '' && this.self.clustered;
    if (moves) return operationResponse(await this.moves.toMember(ctx, instance, body, target!));
    const relocates = body.migration === true && ((body.pool ?? '') !== '' || (body.project ?? '') !== '') && (target ?? '') === '';
    return operationResponse(await (relocates ? this.moves.withinMember(ctx, instance, body) : this.instances.rename(ctx, instance, body, target ?? '')));
  }

  @Delete()
  async delete(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string): Promise<ApiResponse> {
    return operationResponse(await this.instances.delete(ctx, await this.instances.get(ctx.project, name, tree)));
  }
}
