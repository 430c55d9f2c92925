import { Controller } from '@nestjs/common';
import { z } from 'zod';
import type { RequestContext } from '#kernel';
import { Body, Ctx, emptyResponse, LocalOnly, Post, type ApiResponse } from '#platform/http';
import { TestWarnings } from './test-warnings.service.js';

const testWarning = z.object({
  location: z.string().default(''), project: z.string().default(''), entity_type_code: z.int().default(-1), entity_id: z.int().default(-1),
  type_code: z.int().default(0), message: z.string().default(''),
}).meta({ id: 'internalWarningCreatePost' });

/** For tests of those who show warnings; on the unix socket only. */
@Controller('/internal/testing/warnings')
export class TestWarningsController {
  constructor(private readonly warnings: TestWarnings) {}

  @Post()
  @LocalOnly()
  async create(@Ctx() ctx: RequestContext, @Body({ schema: testWarning }) body: z.infer<typeof testWarning>): Promise<ApiResponse> {
    await this.warnings.write(ctx, body);
    return emptyResponse();
  }
}
