import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { Body, Ctx, emptyResponse, LocalOnly, Post, syncResponse, type ApiResponse } from '#platform/http';
import { Recovery, recoveryRequest, type RecoveryRequest } from '../recovery/recovery.service.js';

/** What `recover` of the daemon's command line uses; on the unix socket only. */
@Controller('/internal/recover')
export class RecoveryController {
  constructor(private readonly recovery: Recovery) {}

  @Post('validate')
  @LocalOnly()
  async validate(@Body({ schema: recoveryRequest }) body: RecoveryRequest): Promise<ApiResponse> {
    return syncResponse(await this.recovery.validate(body));
  }

  @Post('import')
  @LocalOnly()
  async import(@Ctx() ctx: RequestContext, @Body({ schema: recoveryRequest }) body: RecoveryRequest): Promise<ApiResponse> {
    await this.recovery.import(ctx, body);
    return emptyResponse();
  }
}
