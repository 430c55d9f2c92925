import { Controller } from '@nestjs/common';
import type { Operation } from '#api-types';
import type { RequestContext } from '#kernel';
import { AllowUntrusted, Ctx, Delete, Get, Param, Query, type ApiResponse } from '#platform/http';
import { OperationViews, type OperationsByStatus } from './operation-views.service.js';

@Controller('1.0/operations')
export class OperationsController {
  constructor(private readonly operations: OperationViews) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Query() query: Record<string, string>): Promise<OperationsByStatus> {
    return this.operations.list(ctx, query);
  }

  @Get(':id')
  get(@Ctx() ctx: RequestContext, @Param('id') id: string): Promise<Operation> {
    return this.operations.get(ctx, id);
  }

  @Delete(':id')
  cancel(@Ctx() ctx: RequestContext, @Param('id') id: string): Promise<ApiResponse> {
    return this.operations.cancel(ctx, id);
  }

  @Get(':id/wait')
  @AllowUntrusted()
  wait(@Ctx() ctx: RequestContext, @Param('id') id: string, @Query('timeout') timeout?: string, @Query('secret') secret?: string): Promise<Operation> {
    return this.operations.wait(ctx, id, timeout, secret);
  }

  /** Requests that ask for no websocket; those that do are registered by the service. */
  @Get(':id/websocket')
  @AllowUntrusted()
  websocket(@Param('id') id: string, @Query('secret') secret?: string): Promise<never> {
    return this.operations.refusePlain(id, secret);
  }
}
