import { Injectable } from '@nestjs/common';
import type { Profile, ProfilePost, ProfilePut, ProfilesPost } from '#api-types';
import { wrap, type RequestContext } from '#kernel';
import { Database } from '#platform/database';
import { createdResponse, emptyResponse, parseRecursion, syncResponse, type ApiResponse } from '#platform/http';
import { ProfileUsage } from './profile-usage.registry.js';
import type { ProfileRow } from './profiles.repository.js';
import { profileEtag, ProfilesService, type ProfileUpdate } from './profiles.service.js';

/** `/1.0/profiles` as clients see it. */
@Injectable()
export class ProfileViews {
  constructor(
    private readonly profiles: ProfilesService,
    private readonly usage: ProfileUsage,
    private readonly database: Database,
  ) {}

  list(ctx: RequestContext, recursion: string | undefined): string[] | Profile[] {
    const rows = this.profiles.list(ctx.project);
    return parseRecursion(recursion) === 0 ? rows.map((row) => this.profiles.url(row)) : rows.map((row) => this.view(row));
  }

  get(ctx: RequestContext, name: string): ApiResponse {
    this.profiles.owner(ctx.project);
    let row: ProfileRow;
    try {
      row = this.profiles.get(ctx.project, name);
    } catch (error) {
      throw wrap(error, 'Fetch profile');
    }
    return syncResponse(this.view(row), { etag: profileEtag(row) });
  }

  async create(ctx: RequestContext, body: ProfilesPost): Promise<ApiResponse> {
    return createdResponse(await this.profiles.create(ctx, body));
  }

  async update(ctx: RequestContext, name: string, body: ProfilePut, update: ProfileUpdate): Promise<ApiResponse> {
    await this.profiles.update(ctx, name, body, update);
    return emptyResponse();
  }

  async rename(ctx: RequestContext, name: string, body: ProfilePost): Promise<ApiResponse> {
    return createdResponse(await this.profiles.rename(ctx, name, body.name ?? ''));
  }

  async remove(ctx: RequestContext, name: string): Promise<ApiResponse> {
    await this.profiles.remove(ctx, name);
    return emptyResponse();
  }

  private view(row: ProfileRow): Profile {
    const { config, description, devices, name } = row;
    return { config, description, devices, name, used_by: this.usage.usedBy(this.database.read, row) };
  }
}
