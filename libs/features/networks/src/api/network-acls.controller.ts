import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Ctx, Delete, Get, Patch, Post, Put, syncResponse, type ApiResponse } from '#platform/http';
import { NetworkParts } from '../network-parts.service.js';

@Controller('1.0/network-acls')
export class NetworkAclsController {
  constructor(private readonly parts: NetworkParts) {}

  @Get()
  list(@Ctx() ctx: RequestContext): ApiResponse { return syncResponse(this.parts.listNone(ctx.project)); }

  @Post()
  create(@Ctx() ctx: RequestContext): never { return this.parts.refuse(ctx.project, 'ACL'); }

  @Get(':name')
  get(@Ctx() ctx: RequestContext): never { return this.parts.absent(ctx.project, 'ACL'); }

  @Get(':name/log')
  log(@Ctx() ctx: RequestContext): never { return this.parts.absent(ctx.project, 'ACL'); }

  @Put(':name')
  put(@Ctx() ctx: RequestContext): never { return this.parts.absent(ctx.project, 'ACL'); }

  @Patch(':name')
  patch(@Ctx() ctx: RequestContext): never { return this.parts.absent(ctx.project, 'ACL'); }

  @Post(':name')
  rename(@Ctx() ctx: RequestContext): never { return this.parts.absent(ctx.project, 'ACL'); }

  @Delete(':name')
  remove(@Ctx() ctx: RequestContext): never { return this.parts.absent(ctx.project, 'ACL'); }
}
