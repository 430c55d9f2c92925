import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Ctx, Delete, Get, Patch, Post, Put, syncResponse, type ApiResponse } from '#platform/http';
import { NetworkParts } from '../network-parts.service.js';

@Controller('1.0/network-zones')
export class NetworkZonesController {
  constructor(private readonly parts: NetworkParts) {}

  @Get()
  list(@Ctx() ctx: RequestContext): ApiResponse { return syncResponse(this.parts.listZones(ctx.project)); }

  @Post()
  create(@Ctx() ctx: RequestContext): never { return this.parts.refuseZone(ctx.project); }

  @Get(':zone')
  get(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Put(':zone')
  put(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Patch(':zone')
  patch(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Delete(':zone')
  remove(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Get(':zone/records')
  records(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Post(':zone/records')
  createRecord(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Get(':zone/records/:record')
  record(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Put(':zone/records/:record')
  putRecord(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Patch(':zone/records/:record')
  patchRecord(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }

  @Delete(':zone/records/:record')
  removeRecord(@Ctx() ctx: RequestContext): never { return this.parts.absentZone(ctx.project); }
}
