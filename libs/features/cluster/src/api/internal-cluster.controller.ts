import { Controller } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import { AllowUntrusted, Body, Ctx, Delete, emptyResponse, Get, LocalOnly, Param, Post, streamResponse, syncResponse, type ApiResponse } from '#platform/http';
import { Admissions } from '../join/admissions.service.js';
import { ClusterService } from '../cluster.service.js';
import { MemberRemoval } from '../member-removal.service.js';
import { acceptRequest, questionsRequest, rejoinRequest, type AcceptRequest } from '../join/join-messages.js';
import { DatabaseCopies } from '../copies/database-copies.service.js';
import { Rejoining } from '../join/rejoining.service.js';

/** What a server that joins asks of a member, before either can reach the other as members do. It proves itself by token or password, and its certificate. */
@Controller('internal/cluster')
export class InternalClusterController {
  constructor(
    private readonly admissions: Admissions,
    private readonly cluster: ClusterService,
    private readonly removal: MemberRemoval,
    private readonly rejoining: Rejoining,
    private readonly copies: DatabaseCopies,
  ) {}

  /** The cluster as one that may join sees it: what it has to be asked for each pool and network. */
  @Post('questions')
  @AllowUntrusted()
  async questions(@Ctx() ctx: RequestContext, @Body({ schema: questionsRequest }) body: { name: string; password: string }): Promise<ApiResponse> {
    await this.admissions.check(ctx, body);
    return syncResponse(this.cluster.describe());
  }

  @Post('accept')
  @AllowUntrusted()
  async accept(@Ctx() ctx: RequestContext, @Body({ schema: acceptRequest }) body: AcceptRequest): Promise<ApiResponse> {
    return syncResponse(await this.admissions.accept(ctx, body));
  }

  @Get('snapshot')
  async snapshot(@Ctx() ctx: RequestContext): Promise<ApiResponse> {
    return streamResponse(await this.admissions.snapshot(ctx));
  }

  @Post('abandon')
  async abandon(@Ctx() ctx: RequestContext): Promise<ApiResponse> {
    await this.admissions.abandon(ctx);
    return emptyResponse();
  }

  /** For `cluster rejoin`, on a member that a recovery left behind. */
  @Post('rejoin')
  @LocalOnly()
  async rejoin(@Ctx() ctx: RequestContext, @Body({ schema: rejoinRequest }) { token }: { token: string }): Promise<ApiResponse> {
    return syncResponse(await this.rejoining.rejoin(ctx, token));
  }

  /** For `cluster compare-databases`; null when no two copies could be seen at the same entry. */
  @Post('compare')
  @LocalOnly()
  async compare(@Ctx() ctx: RequestContext): Promise<ApiResponse> {
    return syncResponse(await this.copies.compare(ctx));
  }

  /** Takes the voter that listens at an address out of the log, for `cluster remove-raft-node`. */
  @Delete('raft-node/:address')
  @LocalOnly()
  async removeVoter(@Param('address') address: string): Promise<ApiResponse> {
    await this.removal.removeVoter(address);
    return emptyResponse();
  }
}
