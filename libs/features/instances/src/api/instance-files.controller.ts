import { Controller, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import { invalid, type RequestContext } from '#kernel';
import { Ctx, Delete, Get, Head, Param, Post, RawBody, RequestHeaders, Streaming, type ApiResponse, type RawRequestBody } from '#platform/http';
import { InstanceFilesService } from '../files/instance-files.service.js';
import { pathParameter } from '../files/path-parameter.rules.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { collections, Tree } from './instance-tree.js';

/** `?path=`, as the bytes that the file system knows. */
export const PathParameter = createParamDecorator((_: unknown, context: ExecutionContext): Buffer => pathParameter(context.switchToHttp().getRequest<FastifyRequest>().url));

/** Files inside an instance, and the door of its SFTP server for those who do not ask for an upgrade. */
@Controller(collections.map((path) => `${path}/:name`))
export class InstanceFilesController {
  constructor(
    private readonly instances: InstancesService,
    private readonly files: InstanceFilesService,
  ) {}

  @Get('files')
  async read(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @PathParameter() path: Buffer, @RequestHeaders() headers: IncomingHttpHeaders): Promise<ApiResponse> {
    return this.files.read(await this.instances.get(ctx.project, name, tree), path, headers);
  }

  @Head('files')
  async describe(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @PathParameter() path: Buffer): Promise<ApiResponse> {
    return this.files.describe(await this.instances.get(ctx.project, name, tree), path);
  }

  @Post('files')
  @Streaming()
  async write(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @PathParameter() path: Buffer,
    @RequestHeaders() headers: IncomingHttpHeaders, @RawBody() body: RawRequestBody,
  ): Promise<ApiResponse> {
    return this.files.write(await this.instances.get(ctx.project, name, tree), path, headers, body);
  }

  @Delete('files')
  async remove(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @PathParameter() path: Buffer): Promise<ApiResponse> {
    return this.files.remove(await this.instances.get(ctx.project, name, tree), path);
  }

  /** Whatever instance is named: LXD looks for the upgrade first. */
  @Get('sftp')
  refuse(): never {
    throw invalid('Missing or invalid upgrade header');
  }
}
