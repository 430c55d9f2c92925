import { Controller } from '@nestjs/common';
import { z } from 'zod';
import { isTrue, type RequestContext } from '#kernel';
import { SqlConsole } from '#platform/database';
import { Body, Ctx, emptyResponse, Get, LocalOnly, Post, Put, Query, syncResponse, type ApiResponse } from '#platform/http';
import { DaemonControl } from './daemon-control.js';

const sqlQuery = z.object({ database: z.string().default(''), query: z.string().default('') }).meta({ id: 'internalSQLQuery' });

/** What the daemon's own subcommands use; on the unix socket only. Anything else below `/internal` is 404. */
@Controller('/internal')
export class InternalController {
  constructor(
    private readonly control: DaemonControl,
    private readonly console: SqlConsole,
  ) {}

  @Get('ready')
  @LocalOnly()
  ready(): ApiResponse {
    this.control.assertReady();
    return emptyResponse();
  }

  @Put('shutdown')
  @LocalOnly()
  async shutdown(@Query('force') force?: string): Promise<ApiResponse> {
    await this.control.requestShutdown(isTrue(force));
    return emptyResponse();
  }

  @Get('sql')
  @LocalOnly()
  dump(@Query('database') database = '', @Query('schema') schema?: string): ApiResponse {
    return syncResponse(this.console.dump(database, schema === '1'));
  }

  @Post('sql')
  @LocalOnly()
  async query(@Ctx() ctx: RequestContext, @Body({ schema: sqlQuery }) body: z.infer<typeof sqlQuery>): Promise<ApiResponse> {
    return syncResponse(await this.console.query(ctx, body));
  }
}
