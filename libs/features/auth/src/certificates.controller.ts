import { Controller } from '@nestjs/common';
import { certificatePut, certificatesPost, type CertificatePut, type CertificatesPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { AllowUntrusted, Body, Ctx, Delete, Get, IfMatch, Param, Patch, Post, Put, Query, type ApiResponse } from '#platform/http';
import { CertificatesService } from './certificates.service.js';

@Controller('/1.0/certificates')
export class CertificatesController {
  constructor(private readonly certificates: CertificatesService) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Query('recursion') recursion?: string): ApiResponse {
    return this.certificates.list(ctx, recursion);
  }

  @Post()
  @AllowUntrusted()
  add(@Ctx() ctx: RequestContext, @Body({ schema: certificatesPost }) body: CertificatesPost): Promise<ApiResponse> {
    return this.certificates.add(ctx, body);
  }

  @Get(':fingerprint')
  get(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string): ApiResponse {
    return this.certificates.get(ctx, fingerprint);
  }

  @Put(':fingerprint')
  replace(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Body({ schema: certificatePut }) body: CertificatePut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    return this.certificates.update(ctx, fingerprint, body, { patch: false, ifMatch });
  }

  @Patch(':fingerprint')
  change(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Body({ schema: certificatePut }) body: CertificatePut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    return this.certificates.update(ctx, fingerprint, body, { patch: true, ifMatch });
  }

  @Delete(':fingerprint')
  remove(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string): Promise<ApiResponse> {
    return this.certificates.remove(ctx, fingerprint);
  }
}
