import { Controller } from '@nestjs/common';
import type { IncomingHttpHeaders } from 'node:http';
import type { RequestContext } from '#kernel';
import {
  AllowUntrusted, apiUrl, Ctx, Get, operationResponse, parseRecursion, Post, Query, RawBody, RequestHeaders, Streaming, syncResponse,
  type ApiResponse, type RawRequestBody,
} from '#platform/http';
import { ImageImports } from '../image-imports.service.js';
import { ImagesService } from '../images.service.js';

/** `/1.0/images` */
@Controller('/1.0/images')
export class ImagesController {
  constructor(private readonly images: ImagesService, private readonly imports: ImageImports) {}

  @Get()
  @AllowUntrusted()
  list(@Ctx() ctx: RequestContext, @Query('recursion') recursion?: string, @Query('filter') filter?: string): ApiResponse {
    if (parseRecursion(recursion) > 0) return syncResponse(this.images.list(ctx, ctx.project, filter));
    return syncResponse(this.images.listFingerprints(ctx, ctx.project, filter).map((fingerprint) => apiUrl(['1.0', 'images', fingerprint])));
  }

  @Post()
  @AllowUntrusted()
  @Streaming()
  async create(@Ctx() ctx: RequestContext, @RawBody() body: RawRequestBody, @RequestHeaders() headers: IncomingHttpHeaders): Promise<ApiResponse> {
    return operationResponse(await this.imports.post(ctx, body, headers));
  }
}
