import { Controller } from '@nestjs/common';
import { certificatePatch, certificatePut, certificatesPost, type CertificatePut, type CertificatesPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { AllowUntrusted, Body, Ctx, Delete, Get, IfMatch, LookFirst, Param, Patch, Post, Put, Query, type ApiResponse } from '#platform/http';
import { CertificatesService } from './certificates.service.js';

const certificateFirst = LookFirst(CertificatesService, (certificates, { ctx, params }) => certificates.get(ctx, params['fingerprint'] ?? ''));

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
  @certificateFirst
  replace(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Body({ schema: certificatePut }) body: CertificatePut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    return this.certificates.update(ctx, fingerprint, body, { patch: false, ifMatch });
  }

  @Patch(':fingerprint')
  @certificateFirst
  change(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string, @Body({ schema: certificatePatch }) body: CertificatePut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    return this.certificates.update(ctx, fingerprint, body, { patch: true, ifMatch });
  }

  @Delete(':fingerprint')
  remove(@Ctx() ctx: RequestContext, @Param('fingerprint') fingerprint: string): Promise<ApiResponse> {
    return this.certificates.remove(ctx, fingerprint);
  }
}
