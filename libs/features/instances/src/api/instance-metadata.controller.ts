import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Body, Ctx, Delete, Get, IfMatch, Param, Patch, Post, Put, Query, RawBody, Streaming, type ApiResponse, type RawRequestBody } from '#platform/http';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { instanceMetadataPatch, instanceMetadataPut, type InstanceMetadataPatch, type InstanceMetadataPut } from '../templates/instance-metadata.rules.js';
import { InstanceMetadataService } from '../templates/instance-metadata.service.js';
import { instanceFirst } from './instance-first.js';
import { collections, Tree } from './instance-tree.js';

/** What came with an instance's image, and may be changed since. */
@Controller(collections.map((path) => `${path}/:name/metadata`))
export class InstanceMetadataController {
  constructor(
    private readonly instances: InstancesService,
    private readonly metadata: InstanceMetadataService,
  ) {}

  @Get()
  async show(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string): Promise<ApiResponse> {
    return this.metadata.show(ctx, await this.instances.get(ctx.project, name, tree));
  }

  @Put()
  @instanceFirst
  async replace(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @IfMatch() ifMatch: string | undefined, @Body({ schema: instanceMetadataPut }) body: InstanceMetadataPut,
  ): Promise<ApiResponse> {
    return this.metadata.replace(ctx, await this.instances.get(ctx.project, name, tree), body, ifMatch);
  }

  @Patch()
  @instanceFirst
  async patch(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @IfMatch() ifMatch: string | undefined, @Body({ schema: instanceMetadataPatch }) body: InstanceMetadataPatch,
  ): Promise<ApiResponse> {
    return this.metadata.patch(ctx, await this.instances.get(ctx.project, name, tree), body, ifMatch);
  }

  @Get('templates')
  async templates(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Query('path') path: string | undefined): Promise<ApiResponse | string[]> {
    const instance = await this.instances.get(ctx.project, name, tree);
    return path ? this.metadata.showTemplate(ctx, instance, path) : this.metadata.listTemplates(instance);
  }

  @Post('templates')
  @Streaming()
  async write(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Query('path') path: string | undefined, @RawBody() body: RawRequestBody,
  ): Promise<ApiResponse> {
    return this.metadata.writeTemplate(ctx, await this.instances.get(ctx.project, name, tree), path ?? '', body.stream);
  }

  @Delete('templates')
  async remove(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Query('path') path: string | undefined): Promise<ApiResponse> {
    return this.metadata.removeTemplate(ctx, await this.instances.get(ctx.project, name, tree), path ?? '');
  }
}
