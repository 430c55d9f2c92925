import { Controller } from '@nestjs/common';
import type { OperationRecord } from '#api-types';
import { forbidden, invalid, type RequestContext } from '#kernel';
import { mayAccessProject } from '#platform/auth';
import { Ctx, Get, Query } from '#platform/http';
import { OperationRecords } from '#platform/operations';

/** What was done to an object, for `roost history` and `roost explain`. LXD has nothing like it. */
@Controller('/internal/history')
export class HistoryController {
  constructor(private readonly records: OperationRecords) {}

  /** `source`: the object's URL. Example: `/1.0/instances/c1` */
  @Get()
  list(@Ctx() ctx: RequestContext, @Query('source') source?: string): OperationRecord[] {
    if (!mayAccessProject(ctx, ctx.project)) throw forbidden('not authorized');
    if (source === undefined || !source.startsWith('/1.0/')) throw invalid('source is the URL of an object');
    return this.records.of(ctx.project, source);
  }
}
