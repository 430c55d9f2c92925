import { Controller } from '@nestjs/common';
import { imageExportPost, imagePatch, imagePut, type ImageExportPost, type ImagePatch, type ImagePut } from '#api-types';
import type { RequestContext } from '#kernel';
import {
  AllowUntrusted, Body, Ctx, Delete, emptyResponse, Get, IfMatch, operationResponse, Param, Patch, Post, Put, Query, RequestHeader, syncResponse,
  type ApiResponse, LookFirst,
} from '#platform/http';
import { ImageExports } from '../image-exports.service.js';
import { ImageTokens } from '../image-tokens.service.js';
import { ImageUpdates } from '../image-updates.service.js';
import { ImagesService, type ImageRow } from '../images.service.js';

const imageFirst = LookFirst(ImagesService, (images, { ctx, params }) => images.resolve(ctx, ctx.project, { fingerprint: params['fingerprint'] ?? '' }));

/** `/1.0/images/{fingerprint}` and what lies below it. The fingerprint may be cut short. */
@Controller('/1.0/images/:fingerprint')
export class ImageController {
  constructor(
    private readonly images: ImagesService,
    private readonly exports: ImageExports,
    private readonly tokens: ImageTokens,
    private readonly updates: ImageUpdates,
  ) {}

  @Get()
  @AllowUntrusted()
  get(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Query('secret') secret?: string): ApiResponse {
    const image = this.see(ctx, fingerprint, secret);
    return syncResponse(this.images.api(image), { etag: this.images.etag(image) });
  }

  @Put()
  @imageFirst
  async replace(
    @Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Body({ schema: imagePut }) body: ImagePut, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    await this.images.replace(ctx, fingerprint, body, ifMatch);
    return emptyResponse();
  }

  @Patch()
  @imageFirst
  async amend(
    @Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Body({ schema: imagePatch }) body: ImagePatch, @IfMatch() ifMatch?: string,
  ): Promise<ApiResponse> {
    await this.images.amend(ctx, fingerprint, body, ifMatch);
    return emptyResponse();
  }

  @Delete()
  async delete(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string): Promise<ApiResponse> {
    return operationResponse(await this.images.delete(ctx, fingerprint));
  }

  @Get('export')
  @AllowUntrusted()
  export(
    @Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Query('secret') secret?: string, @RequestHeader('range') range?: string,
  ): Promise<ApiResponse> {
    return this.exports.download(ctx, this.see(ctx, fingerprint, secret), secret, range);
  }

  @Post('export')
  @imageFirst
  async push(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Body({ schema: imageExportPost }) body: ImageExportPost): Promise<ApiResponse> {
    return operationResponse(await this.exports.push(ctx, this.images.resolve(ctx, ctx.project, { fingerprint }), body));
  }

  @Post('refresh')
  async refresh(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string): Promise<ApiResponse> {
    return operationResponse(await this.updates.refresh(ctx, fingerprint));
  }

  @Post('secret')
  async secret(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string): Promise<ApiResponse> {
    return operationResponse(await this.tokens.forImage(ctx, this.images.resolve(ctx, ctx.project, { fingerprint })));
  }

  private see(ctx: RequestContext, fingerprint: string, secret: string | undefined): ImageRow {
    return this.images.see(ctx, fingerprint, (image) => this.tokens.opens(secret, image));
  }
}
