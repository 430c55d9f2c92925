import { Controller } from '@nestjs/common';
import { networkAclPost, networkAclPut, networkAclsPost, type NetworkAclPost, type NetworkAclPut, type NetworkAclsPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { apiUrl, Body, createdResponse, Ctx, Delete, emptyResponse, Get, IfMatch, LookFirst, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse } from '#platform/http';
import { NetworkAcls } from '../network-acls.service.js';
import { NetworkProjects } from '../network-projects.service.js';

const projectFirst = LookFirst(NetworkProjects, (projects, { ctx }) => projects.owner(ctx.project));
const aclFirst = LookFirst(NetworkAcls, (acls, { ctx, params }) => acls.get(ctx.project, params['name'] ?? ''));

@Controller('1.0/network-acls')
export class NetworkAclsController {
  constructor(private readonly acls: NetworkAcls) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Query('recursion') recursion: string | undefined): ApiResponse {
    const acls = this.acls.list(ctx.project);
    return syncResponse(parseRecursion(recursion) === 0 ? acls.map(({ name }) => apiUrl(['1.0', 'network-acls', name])) : acls);
  }

  @Post()
  @projectFirst
  async create(@Ctx() ctx: RequestContext, @Body({ schema: networkAclsPost }) body: NetworkAclsPost): Promise<ApiResponse> {
    await this.acls.create(ctx, body);
    return createdResponse(apiUrl(['1.0', 'network-acls', body.name], ctx.project));
  }

  @Get(':name')
  get(@Ctx() ctx: RequestContext, @Param('name') name: string): ApiResponse {
    const { acl, etag } = this.acls.get(ctx.project, name);
    return syncResponse(acl, { etag });
  }

  @Get(':name/log')
  log(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.acls.log(ctx.project, name); }

  @Put(':name')
  @aclFirst
  async put(@Ctx() ctx: RequestContext, @Param('name') name: string, @IfMatch() ifMatch: string | undefined, @Body({ schema: networkAclPut }) body: NetworkAclPut): Promise<ApiResponse> {
    await this.acls.update(ctx, name, body, { merge: false, ifMatch });
    return emptyResponse();
  }

  @Patch(':name')
  @aclFirst
  async patch(@Ctx() ctx: RequestContext, @Param('name') name: string, @IfMatch() ifMatch: string | undefined, @Body({ schema: networkAclPut }) body: NetworkAclPut): Promise<ApiResponse> {
    await this.acls.update(ctx, name, body, { merge: true, ifMatch });
    return emptyResponse();
  }

  @Post(':name')
  @projectFirst
  async rename(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: networkAclPost }) body: NetworkAclPost): Promise<ApiResponse> {
    await this.acls.rename(ctx, name, body.name);
    return createdResponse(apiUrl(['1.0', 'network-acls', body.name], ctx.project));
  }

  @Delete(':name')
  async remove(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    await this.acls.delete(ctx, name);
    return emptyResponse();
  }
}
