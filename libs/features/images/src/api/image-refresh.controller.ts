import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Ctx, emptyResponse, Get, LocalOnly, type ApiResponse } from '#platform/http';
import { ImageUpdates } from '../image-updates.service.js';

/** `GET /internal/testing/image-refresh`, on the unix socket only: what happens every few hours by itself, now. */
@Controller('/internal/testing/image-refresh')
export class ImageRefreshController {
  constructor(private readonly updates: ImageUpdates) {}

  @Get()
  @LocalOnly()
  async refresh(@Ctx() ctx: RequestContext): Promise<ApiResponse> {
    await this.updates.updateAll(ctx);
    return emptyResponse();
  }
}
