import { Controller } from '@nestjs/common';
import { clusterCertificatePut, clusterPut, type ClusterCertificatePut, type ClusterPut } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, emptyResponse, Get, Put, syncResponse, type ApiResponse } from '#platform/http';
import { ClusterCertificateUpdate } from './cluster-certificate.service.js';
import { ClusterService } from './cluster.service.js';

@Controller('1.0/cluster')
export class ClusterController {
  constructor(
    private readonly cluster: ClusterService,
    private readonly certificate: ClusterCertificateUpdate,
  ) {}

  @Get()
  get(): ApiResponse {
    const state = this.cluster.describe();
    return syncResponse(state, { etag: state });
  }

  @Put()
  change(@Ctx() ctx: RequestContext, @Body({ schema: clusterPut }) body: ClusterPut): Promise<ApiResponse> {
    return this.cluster.change(ctx, body);
  }

  @Put('certificate')
  async replaceCertificate(@Ctx() ctx: RequestContext, @Body({ schema: clusterCertificatePut }) body: ClusterCertificatePut): Promise<ApiResponse> {
    await this.certificate.update(ctx, body);
    return emptyResponse();
  }
}
