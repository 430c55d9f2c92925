import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Ctx, Delete, Get, Param, Patch, Post, Put, syncResponse, type ApiResponse } from '#platform/http';
import { NetworkParts } from '../network-parts.service.js';

/** `/1.0/networks/{name}/forwards` and `/peers`. */
@Controller('1.0/networks/:name')
export class NetworkPartsController {
  constructor(private readonly parts: NetworkParts) {}

  @Get('forwards')
  forwards(@Ctx() ctx: RequestContext, @Param('name') name: string): ApiResponse { return syncResponse(this.parts.listForwards(ctx.project, name)); }

  @Post('forwards')
  createForward(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.refuseForward(ctx.project, name); }

  @Get('forwards/:address')
  getForward(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.absentForward(ctx.project, name); }

  @Put('forwards/:address')
  putForward(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.absentForward(ctx.project, name); }

  @Patch('forwards/:address')
  patchForward(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.absentForward(ctx.project, name); }

  @Delete('forwards/:address')
  deleteForward(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.absentForward(ctx.project, name); }

  @Get('peers')
  peers(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.refusePeers(ctx.project, name); }

  @Post('peers')
  createPeer(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.refusePeers(ctx.project, name); }

  @Get('peers/:peer')
  getPeer(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.refusePeers(ctx.project, name); }

  @Put('peers/:peer')
  putPeer(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.refusePeers(ctx.project, name); }

  @Patch('peers/:peer')
  patchPeer(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.refusePeers(ctx.project, name); }

  @Delete('peers/:peer')
  deletePeer(@Ctx() ctx: RequestContext, @Param('name') name: string): never { return this.parts.refusePeers(ctx.project, name); }
}
