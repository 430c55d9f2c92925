import { Controller } from '@nestjs/common';
import { Get, Query, streamResponse, type ApiResponse } from '#platform/http';
import { InstanceMetrics } from '../instance-metrics.service.js';

@Controller('/1.0/metrics')
export class MetricsController {
  constructor(private readonly metrics: InstanceMetrics) {}

  @Get()
  async get(@Query('project') project: string | undefined): Promise<ApiResponse> {
    return streamResponse(await this.metrics.text(project || null), { contentType: 'text/plain' });
  }
}
