import { Controller } from '@nestjs/common';
import { instanceExecPost, type InstanceExecPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, operationResponse, Param, Post, type ApiResponse } from '#platform/http';
import { InstanceExec } from '../exec/instance-exec.service.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { collections, Tree } from './instance-tree.js';

@Controller(collections.map((path) => `${path}/:name/exec`))
export class InstanceExecController {
  constructor(
    private readonly instances: InstancesService,
    private readonly commands: InstanceExec,
  ) {}

  @Post()
  async exec(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instanceExecPost }) body: InstanceExecPost): Promise<ApiResponse> {
    return operationResponse(await this.commands.exec(ctx, await this.instances.get(ctx.project, name, tree), body));
  }
}
