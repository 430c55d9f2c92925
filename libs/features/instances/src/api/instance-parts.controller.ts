import { Controller } from '@nestjs/common';
import { notFound, type RequestContext } from '#kernel';
import { Ctx, Get, Param } from '#platform/http';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { collections, Tree } from './instance-tree.js';

/** Parts of instances of which there are none yet: clients ask for them all the same. */
@Controller(collections.map((path) => `${path}/:name`))
export class InstancePartsController {
  constructor(private readonly instances: InstancesService) {}

  @Get('backups')
  async backups(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string): Promise<string[]> {
    await this.instances.get(ctx.project, name, tree);
    return [];
  }

  @Get('backups/:backup')
  async backup(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string): Promise<never> {
    await this.instances.get(ctx.project, name, tree);
    throw notFound('Load backup from database: Instance backup not found');
  }
}
