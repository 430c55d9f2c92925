import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Ctx, Delete, Get, Param, Patch, Post, Put } from '#platform/http';
import { NetworkParts } from '../network-parts.service.js';

/** `/1.0/networks/{name}/peers`. */
@Controller('1.0/networks/:name')
export class NetworkPartsController {
  constructor(private readonly parts: NetworkParts) {}

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
