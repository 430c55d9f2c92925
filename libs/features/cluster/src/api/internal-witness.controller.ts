import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { AllowUntrusted, Body, Ctx, Delete, emptyResponse, Get, LocalOnly, Param, Post, syncResponse, type ApiResponse } from '#platform/http';
import { acceptWitnessRequest, addWitnessRequest, type AcceptWitnessRequest, type AddWitnessRequest } from '../witness/witness-messages.js';
import { Witnesses } from '../witness/witnesses.service.js';

/** For `cluster witness`, and the door by which a witness comes. */
@Controller('internal/cluster')
export class InternalWitnessController {
  constructor(private readonly witnesses: Witnesses) {}

  @Get('witnesses')
  @LocalOnly()
  list(): ApiResponse {
    return syncResponse(this.witnesses.list());
  }

  @Post('witnesses')
  @LocalOnly()
  async add(@Ctx() ctx: RequestContext, @Body({ schema: addWitnessRequest }) { name }: AddWitnessRequest): Promise<ApiResponse> {
    return syncResponse({ token: await this.witnesses.add(ctx, name) });
  }

  @Delete('witnesses/:name')
  @LocalOnly()
  async remove(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    await this.witnesses.remove(ctx, name);
    return emptyResponse();
  }

  /** It proves itself by its token, and shows no certificate. */
  @Post('accept-witness')
  @AllowUntrusted()
  async accept(@Ctx() ctx: RequestContext, @Body({ schema: acceptWitnessRequest }) body: AcceptWitnessRequest): Promise<ApiResponse> {
    return syncResponse(await this.witnesses.accept(ctx, body));
  }
}
