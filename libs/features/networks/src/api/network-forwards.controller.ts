import { Controller } from '@nestjs/common';
import { networkForwardPut, networkForwardsPost, type NetworkForwardPut, type NetworkForwardsPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { apiUrl, Body, createdResponse, Ctx, Delete, emptyResponse, Get, IfMatch, LookFirst, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse } from '#platform/http';
import { NetworkForwards } from '../network-forwards.service.js';
import { NetworkProjects } from '../network-projects.service.js';
import { NetworksService } from '../networks.service.js';

const projectFirst = LookFirst(NetworkProjects, (projects, { ctx }) => projects.owner(ctx.project));
const networkFirst = LookFirst(NetworksService, (networks, { ctx, params }) => networks.toChange(ctx.project, params['name'] ?? ''));

@Controller('1.0/networks/:name/forwards')
export class NetworkForwardsController {
  constructor(private readonly forwards: NetworkForwards) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Param('name') name: string, @Query('recursion') recursion: string | undefined): ApiResponse {
    const forwards = this.forwards.list(ctx.project, name);
    return syncResponse(parseRecursion(recursion) === 0 ? forwards.map((one) => apiUrl(['1.0', 'networks', name, 'forwards', one.listen_address])) : forwards);
  }

  @Post()
  @projectFirst
  async create(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: networkForwardsPost }) body: NetworkForwardsPost, @Query('target') target = ''): Promise<ApiResponse> {
    const address = await this.forwards.create(ctx, name, body, target);
    return createdResponse(apiUrl(['1.0', 'networks', name, 'forwards', address], ctx.project));
  }

  @Get(':address')
  get(@Ctx() ctx: RequestContext, @Param('name') name: string, @Param('address') address: string, @Query('target') target = ''): ApiResponse {
    const { forward, etag } = this.forwards.get(ctx.project, name, address, target);
    return syncResponse(forward, { etag });
  }

  @Put(':address')
  @networkFirst
  async put(
    @Ctx() ctx: RequestContext, @Param('name') name: string, @Param('address') address: string, @IfMatch() ifMatch: string | undefined,
    @Body({ schema: networkForwardPut }) body: NetworkForwardPut, @Query('target') target = '',
  ): Promise<ApiResponse> {
    await this.forwards.update(ctx, name, address, body, { merge: false, ifMatch, target });
    return emptyResponse();
  }

  @Patch(':address')
  @networkFirst
  async patch(
    @Ctx() ctx: RequestContext, @Param('name') name: string, @Param('address') address: string, @IfMatch() ifMatch: string | undefined,
    @Body({ schema: networkForwardPut }) body: NetworkForwardPut, @Query('target') target = '',
  ): Promise<ApiResponse> {
    await this.forwards.update(ctx, name, address, body, { merge: true, ifMatch, target });
    return emptyResponse();
  }

  @Delete(':address')
  async remove(@Ctx() ctx: RequestContext, @Param('name') name: string, @Param('address') address: string, @Query('target') target = ''): Promise<ApiResponse> {
    await this.forwards.delete(ctx, name, address, target);
    return emptyResponse();
  }
}
