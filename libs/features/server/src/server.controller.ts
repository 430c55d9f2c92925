import { Controller } from '@nestjs/common';
import { serverPut, type ServerPut } from '#api-types';
import type { RequestContext } from '#kernel';
import { AllowUntrusted, Body, Ctx, Get, IfMatch, Patch, Put, Query, type ApiResponse } from '#platform/http';
import { ServerService } from './server.service.js';

@Controller()
export class ServerController {
  constructor(private readonly server: ServerService) {}

  @Get('/')
  @AllowUntrusted()
  versions(): string[] {
    return ['/1.0'];
  }

  @Get('/1.0')
  @AllowUntrusted()
  describe(@Ctx() ctx: RequestContext, @Query('target') target?: string): Promise<ApiResponse> | ApiResponse {
    return this.server.describe(ctx, target);
  }

  @Put('/1.0')
  replace(@Ctx() ctx: RequestContext, @Body({ schema: serverPut }) body: ServerPut, @IfMatch() ifMatch?: string, @Query('target') target?: string): Promise<ApiResponse> {
    return this.server.update(ctx, body, { replace: true, ifMatch, target });
  }

  @Patch('/1.0')
  change(@Ctx() ctx: RequestContext, @Body({ schema: serverPut }) body: ServerPut, @IfMatch() ifMatch?: string, @Query('target') target?: string): Promise<ApiResponse> {
    return this.server.update(ctx, body, { replace: false, ifMatch, target });
  }

  @Get('/1.0/resources')
  resources(@Query('target') target?: string): Promise<ApiResponse> {
    return this.server.resources(target);
  }
}
