import { Controller } from '@nestjs/common';
import { imageAliasesEntryPatch, imageAliasesEntryPost, imageAliasesEntryPut, imageAliasesPost, type ImageAliasesEntryPost, type ImageAliasesEntryPut, type ImageAliasesPost } from '#api-types';
import { notImplemented, type RequestContext } from '#kernel';
import {
  AllowUntrusted, apiUrl, Body, createdResponse, Ctx, Delete, emptyResponse, Get, IfMatch, Param, parseRecursion, Patch, Post, Put, Query, syncResponse,
  type ApiResponse,
} from '#platform/http';
import { ImageAliasesService } from '../image-aliases.service.js';

/** `/1.0/images/aliases` */
@Controller('/1.0/images/aliases')
export class ImageAliasesController {
  constructor(private readonly aliases: ImageAliasesService) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Query('recursion') recursion?: string): ApiResponse {
    const entries = this.aliases.list(ctx);
    return syncResponse(parseRecursion(recursion) > 0 ? entries : entries.map((entry) => apiUrl(['1.0', 'images', 'aliases', entry.name])));
  }

  @Post()
  async create(@Ctx() ctx: RequestContext, @Body({ schema: imageAliasesPost }) body: ImageAliasesPost): Promise<ApiResponse> {
    await this.aliases.create(ctx, body);
    return createdResponse(apiUrl(['1.0', 'images', 'aliases', body.name], ctx.project));
  }

  // Without these an image called `aliases` would be meant.

  @Put()
  replaceAll(): never {
    throw notImplemented('not implemented');
  }

  @Patch()
  amendAll(): never {
    throw notImplemented('not implemented');
  }

  @Delete()
  deleteAll(): never {
    throw notImplemented('not implemented');
  }

  @Get(':name')
  @AllowUntrusted()
  get(@Ctx() ctx: RequestContext, @Param('name') name: string): ApiResponse {
    const entry = this.aliases.get(ctx, name);
    return syncResponse(entry, { etag: entry });
  }

  @Put(':name')
  async replace(
    @Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: imageAliasesEntryPut }) body: ImageAliasesEntryPut, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    await this.aliases.replace(ctx, name, body, ifMatch);
    return emptyResponse();
  }

  @Patch(':name')
  async amend(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: imageAliasesEntryPatch }) body: Record<string, unknown>, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.aliases.amend(ctx, name, body, ifMatch);
    return emptyResponse();
  }

  @Post(':name')
  async rename(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: imageAliasesEntryPost }) body: ImageAliasesEntryPost): Promise<ApiResponse> {
    await this.aliases.rename(ctx, name, body.name);
    return createdResponse(apiUrl(['1.0', 'images', 'aliases', body.name], ctx.project));
  }

  @Delete(':name')
  async delete(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    await this.aliases.delete(ctx, name);
    return emptyResponse();
  }
}
