import { Controller } from '@nestjs/common';
import { profilePatch, profilePost, profilePut, profilesPost, type Profile, type ProfilePost, type ProfilePut, type ProfilesPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, DecidesInTransaction, Delete, Get, IfMatch, LookFirst, Param, Patch, Post, Put, Query, type ApiResponse } from '#platform/http';
import { ProfileViews } from './profile-views.service.js';
import { ProfilesService } from './profiles.service.js';

const ownerFirst = LookFirst(ProfilesService, (profiles, { ctx }) => profiles.owner(ctx.project));

@Controller('1.0/profiles')
export class ProfilesController {
  constructor(private readonly profiles: ProfileViews) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Query('recursion') recursion?: string): string[] | Profile[] {
    return this.profiles.list(ctx, recursion);
  }

  @Post()
  @ownerFirst
  @DecidesInTransaction()
  create(@Ctx() ctx: RequestContext, @Body({ schema: profilesPost }) body: ProfilesPost): Promise<ApiResponse> {
    return this.profiles.create(ctx, body);
  }

  @Get(':name')
  get(@Ctx() ctx: RequestContext, @Param('name') name: string): ApiResponse {
    return this.profiles.get(ctx, name);
  }

  @Put(':name')
  @LookFirst(ProfilesService, (profiles, { ctx, params }) => profiles.toUpdate(ctx.project, params['name'] ?? '', false))
  @DecidesInTransaction()
  replace(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: profilePut }) body: ProfilePut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    return this.profiles.update(ctx, name, body, { patch: false, ifMatch });
  }

  @Patch(':name')
  @LookFirst(ProfilesService, (profiles, { ctx, params }) => profiles.toUpdate(ctx.project, params['name'] ?? '', true))
  @DecidesInTransaction()
  change(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: profilePatch }) body: ProfilePut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    return this.profiles.update(ctx, name, body, { patch: true, ifMatch });
  }

  @Post(':name')
  @ownerFirst
  @DecidesInTransaction()
  rename(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: profilePost }) body: ProfilePost): Promise<ApiResponse> {
    return this.profiles.rename(ctx, name, body);
  }

  @Delete(':name')
  @DecidesInTransaction()
  remove(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    return this.profiles.remove(ctx, name);
  }
}
