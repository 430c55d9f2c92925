import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Ctx, Delete, emptyResponse, Get, Param, type ApiResponse } from '#platform/http';
import { InstanceLogFiles } from '../instance-logs.service.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { collections, Tree } from './instance-tree.js';

/** Log files and the console's log. */
@Controller(collections.map((path) => `${path}/:name`))
export class InstanceLogsController {
  constructor(
    private readonly instances: InstancesService,
    private readonly logs: InstanceLogFiles,
  ) {}

  @Get('logs')
  async list(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string): Promise<string[]> {
    return this.logs.list(await this.instances.get(ctx.project, name, tree));
  }

  @Get('logs/:file')
  async read(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('file') file: string): Promise<ApiResponse> {
    return this.logs.read(ctx, await this.instances.getNamed(ctx.project, name, tree), file);
  }

  @Delete('logs/:file')
  async delete(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('file') file: string): Promise<ApiResponse> {
    await this.logs.remove(ctx, await this.instances.getNamed(ctx.project, name, tree), file);
    return emptyResponse();
  }

  @Get('console')
  async readConsole(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string): Promise<ApiResponse> {
    return this.logs.readConsole(ctx, await this.instances.get(ctx.project, name, tree));
  }

  @Delete('console')
  async clearConsole(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string): Promise<ApiResponse> {
    await this.logs.clearConsole(ctx, await this.instances.getNamed(ctx.project, name, tree));
    return emptyResponse();
  }
}
