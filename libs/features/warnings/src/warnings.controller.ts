import { Controller } from '@nestjs/common';
import { z } from 'zod';
import { internal, messageOf, type RequestContext } from '#kernel';
import { Body, Ctx, Delete, emptyResponse, filterList, Get, Param, parseRecursion, Patch, Put, Query, syncResponse, type ApiResponse } from '#platform/http';
import { WarningsService, type WarningApi } from './warnings.service.js';

const warningPut = z.object({ status: z.string().default('') }).meta({ id: 'WarningPut' });
type WarningPut = z.infer<typeof warningPut>;

@Controller('1.0/warnings')
export class WarningsController {
  constructor(private readonly warnings: WarningsService) {}

  @Get()
  list(@Query('recursion') recursion: string | undefined, @Query('project') project: string | undefined, @Query('filter') filter: string | undefined): ApiResponse {
    const warnings = this.filtered(filter, this.warnings.list(project ?? null));
    return syncResponse(parseRecursion(recursion) === 0 ? warnings.map(({ uuid }) => `/1.0/warnings/${uuid}`) : warnings);
  }

  private filtered(filter: string | undefined, warnings: WarningApi[]): WarningApi[] {
    try {
      return filterList(filter, warnings);
    } catch (error) {
      throw internal(messageOf(error).replace('Invalid filter', 'Failed to filter warnings'), { cause: error });
    }
  }

  @Get(':uuid')
  get(@Param('uuid') uuid: string): ApiResponse {
    return syncResponse(this.warnings.get(uuid));
  }

  @Put(':uuid')
  async put(@Ctx() ctx: RequestContext, @Param('uuid') uuid: string, @Body({ schema: warningPut }) body: WarningPut): Promise<ApiResponse> {
    await this.warnings.setStatus(ctx, uuid, body.status);
    return emptyResponse();
  }

  @Patch(':uuid')
  async patch(@Ctx() ctx: RequestContext, @Param('uuid') uuid: string, @Body({ schema: warningPut }) body: WarningPut): Promise<ApiResponse> {
    await this.warnings.setStatus(ctx, uuid, body.status);
    return emptyResponse();
  }

  @Delete(':uuid')
  async remove(@Ctx() ctx: RequestContext, @Param('uuid') uuid: string): Promise<ApiResponse> {
    await this.warnings.remove(ctx, uuid);
    return emptyResponse();
  }
}
