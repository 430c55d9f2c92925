import { Controller } from '@nestjs/common';
import { instanceConsolePost, instanceExecPost, type InstanceConsolePost, type InstanceExecPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, operationResponse, Param, Post, WholeBody, type ApiResponse } from '#platform/http';
import { InstanceConsole } from '../exec/instance-console.service.js';
import { InstanceExec } from '../exec/instance-exec.service.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { collections, Tree } from './instance-tree.js';

/** Commands and the console: what a client talks to over websockets. */
@Controller(collections.map((path) => `${path}/:name`))
export class InstanceExecController {
  constructor(
    private readonly instances: InstancesService,
    private readonly commands: InstanceExec,
    private readonly consoles: InstanceConsole,
  ) {}

  @Post('exec')
  @WholeBody()
  async exec(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instanceExecPost }) body: InstanceExecPost): Promise<ApiResponse> {
    return operationResponse(await this.commands.exec(ctx, await this.instances.get(ctx.project, name, tree), body));
  }

  @Post('console')
  @WholeBody()
  async console(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instanceConsolePost }) body: InstanceConsolePost): Promise<ApiResponse> {
    return operationResponse(await this.consoles.attach(ctx, await this.instances.get(ctx.project, name, tree), body));
  }
}
