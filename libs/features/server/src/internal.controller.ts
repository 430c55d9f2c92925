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

  /** Gives memory back that is no longer used, where the process was started with `--expose-gc`. */
  @Get('gc')
  @LocalOnly()
  collectGarbage(): ApiResponse {
    globalThis.gc?.();
    return emptyResponse();
  }

  /** BGP as LXD shows it while it has no address: Roost announces nothing. */
  @Get('testing/bgp')
  @LocalOnly()
  bgp(): ApiResponse {
    return syncResponse({ server: { address: '', asn: 0, router_id: '<nil>', running: false }, prefixes: [], peers: [] });
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
