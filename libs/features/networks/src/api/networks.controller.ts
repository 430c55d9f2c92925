import { Controller } from '@nestjs/common';
import { networkPost, networkPut, networksPost, type NetworkPost, type NetworkPut, type NetworksPost } from '#api-types';
import type { RequestContext } from '#kernel';
import {
  apiUrl, Body, createdResponse, Ctx, Delete, emptyResponse, Get, IfMatch, LookFirst, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse,
} from '#platform/http';
import { NetworkProjects } from '../network-projects.service.js';
import { NetworksService } from '../networks.service.js';
import { NetworkViews } from '../network-views.service.js';

const projectFirst = LookFirst(NetworkProjects, (projects, { ctx }) => projects.owner(ctx.project));
const networkFirst = LookFirst(NetworksService, (networks, { ctx, params }) => networks.toChange(ctx.project, params['name'] ?? ''));

@Controller('1.0/networks')
export class NetworksController {
  constructor(private readonly networks: NetworksService, private readonly views: NetworkViews) {}

  @Get()
  async list(@Ctx() ctx: RequestContext, @Query('recursion') recursion: string | undefined): Promise<ApiResponse> {
    const networks = await this.views.list(ctx.project);
    return syncResponse(parseRecursion(recursion) === 0 ? networks.map(({ name }) => apiUrl(['1.0', 'networks', name])) : networks);
  }

  @Post()
  @projectFirst
  async create(@Ctx() ctx: RequestContext, @Body({ schema: networksPost }) body: NetworksPost, @Query('target') target?: string): Promise<ApiResponse> {
    await this.networks.create(ctx, body, target);
    return createdResponse(apiUrl(['1.0', 'networks', body.name], ctx.project));
  }

  @Get(':name')
  async get(@Ctx() ctx: RequestContext, @Param('name') name: string, @Query('target') target?: string): Promise<ApiResponse> {
    const { network, etag } = await this.views.get(ctx.project, name, target);
    return syncResponse(network, { etag });
  }

  @Put(':name')
  @networkFirst
  async put(
    @Ctx() ctx: RequestContext, @Param('name') name: string, @IfMatch() ifMatch: string | undefined, @Body({ schema: networkPut }) body: NetworkPut, @Query('target') target?: string,
  ): Promise<ApiResponse> {
    await this.networks.update(ctx, name, body, { merge: false, ifMatch, target });
    return emptyResponse();
  }

  @Patch(':name')
  @networkFirst
  async patch(
    @Ctx() ctx: RequestContext, @Param('name') name: string, @IfMatch() ifMatch: string | undefined, @Body({ schema: networkPut }) body: NetworkPut, @Query('target') target?: string,
  ): Promise<ApiResponse> {
    await this.networks.update(ctx, name, body, { merge: true, ifMatch, target });
    return emptyResponse();
  }

  @Post(':name')
  @projectFirst
  async rename(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: networkPost }) body: NetworkPost): Promise<ApiResponse> {
    await this.networks.rename(ctx, name, body.name);
    return createdResponse(apiUrl(['1.0', 'networks', body.name], ctx.project));
  }

  @Delete(':name')
  async remove(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    await this.networks.delete(ctx, name);
    return emptyResponse();
  }

  @Get(':name/state')
  async state(@Ctx() ctx: RequestContext, @Param('name') name: string, @Query('target') target?: string): Promise<ApiResponse> {
    return syncResponse(await this.views.state(ctx.project, name, target));
  }

  @Get(':name/leases')
  async leases(@Ctx() ctx: RequestContext, @Param('name') name: string, @Query('target') target?: string): Promise<ApiResponse> {
    return syncResponse(await this.views.leases(ctx.project, name, target));
  }
}
