import { Controller } from '@nestjs/common';
import { instanceRebuildPost, type InstanceRebuildPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, operationResponse, Param, Post, type ApiResponse } from '#platform/http';
import { collections, Tree } from '../api/instance-tree.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { RebuildRequests } from './rebuild-requests.service.js';

@Controller(collections.map((path) => `${path}/:name/rebuild`))
export class InstanceRebuildController {
  constructor(
    private readonly instances: InstancesService,
    private readonly rebuilds: RebuildRequests,
  ) {}

  @Post()
  async rebuild(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instanceRebuildPost }) body: InstanceRebuildPost): Promise<ApiResponse> {
    return operationResponse(await this.rebuilds.rebuild(ctx, await this.instances.get(ctx.project, name, tree), body));
  }
}
