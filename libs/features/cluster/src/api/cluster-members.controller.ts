import { Controller } from '@nestjs/common';
import {
  clusterMemberPost, clusterMemberPut, clusterMembersPost, clusterMemberStatePost, type ClusterMemberPost, type ClusterMemberPut, type ClusterMemberStatePost,
} from '#api-types';
import { isTrue, notImplemented, type RequestContext } from '#kernel';
import {
  apiUrl, Body, Ctx, Delete, emptyResponse, Get, IfMatch, operationResponse, Param, parseRecursion, Patch, Post, Put, Query, syncResponse, type ApiResponse, LookFirst,
} from '#platform/http';
import { ClusterEvacuation } from '../cluster-evacuation.service.js';
import { ClusterMembers } from '../cluster-members.service.js';
import { JoinTokens } from '../join/join-tokens.service.js';
import { MemberChanges } from '../member-changes.service.js';
import { MemberRemoval } from '../member-removal.service.js';

const clusterFirst = LookFirst(ClusterMembers, (members) => members.assertClustered());

@Controller('1.0/cluster/members')
export class ClusterMembersController {
  constructor(
    private readonly members: ClusterMembers,
    private readonly changes: MemberChanges,
    private readonly removal: MemberRemoval,
    private readonly tokens: JoinTokens,
    private readonly evacuation: ClusterEvacuation,
  ) {}

  @Get()
  list(@Query('recursion') recursion?: string): ApiResponse {
    this.members.assertClustered();
    const views = this.members.views();
    return syncResponse(parseRecursion(recursion) === 0 ? views.map(({ server_name: name }) => apiUrl(['1.0', 'cluster', 'members', name])) : views);
  }

  @Post()
  async add(@Ctx() ctx: RequestContext, @Body({ schema: clusterMembersPost }) body: ClusterMemberPost): Promise<ApiResponse> {
    return operationResponse(await this.tokens.issue(ctx, body.server_name));
  }

  @Get(':name')
  get(@Param('name') name: string): ApiResponse {
    this.members.assertClustered();
    const row = this.members.get(name);
    return syncResponse(this.members.view(row), { etag: this.members.etag(row) });
  }

  @Put(':name')
  @clusterFirst
  async replace(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: clusterMemberPut }) body: ClusterMemberPut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.changes.update(ctx, name, body, { patch: false, ifMatch });
    return emptyResponse();
  }

  @Patch(':name')
  @clusterFirst
  async change(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: clusterMemberPut }) body: ClusterMemberPut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    await this.changes.update(ctx, name, body, { patch: true, ifMatch });
    return emptyResponse();
  }

  @Post(':name')
  async rename(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: clusterMemberPost }) body: ClusterMemberPost): Promise<ApiResponse> {
    await this.changes.rename(ctx, name, body.server_name);
    return emptyResponse();
  }

  @Delete(':name')
  async remove(@Ctx() ctx: RequestContext, @Param('name') name: string, @Query('force') force?: string): Promise<ApiResponse> {
    await this.removal.remove(ctx, name, { force: isTrue(force) });
    return emptyResponse();
  }

  @Get(':name/state')
  state(): never {
    // LXD 5.0's answer; figures of the host came later.
    throw notImplemented('not implemented');
  }

  @Post(':name/state')
  @LookFirst(ClusterMembers, (members, { params }) => members.get(params['name'] ?? ''))
  async changeState(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: clusterMemberStatePost }) body: ClusterMemberStatePost): Promise<ApiResponse> {
    return operationResponse(await this.evacuation.change(ctx, name, body));
  }
}
