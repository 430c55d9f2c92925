import { Controller } from '@nestjs/common';
import { instanceStatePut, type InstanceState, type InstanceStatePut } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, Get, operationResponse, Param, Put, type ApiResponse } from '#platform/http';
import { InstanceStateChanges } from '../instance-state.service.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { instanceFirst } from './instance-first.js';
import { collections, Tree } from './instance-tree.js';

@Controller(collections.map((path) => `${path}/:name/state`))
export class InstanceStateController {
  constructor(
    private readonly instances: InstancesService,
    private readonly states: InstanceStateChanges,
  ) {}

  @Get()
  async get(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string): Promise<InstanceState> {
    return this.instances.state(await this.instances.find(ctx.project, name, tree));
  }

  @Put()
  @instanceFirst
  async change(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instanceStatePut }) body: InstanceStatePut): Promise<ApiResponse> {
    return operationResponse(await this.states.change(ctx, await this.instances.get(ctx.project, name, tree), body));
  }
}
