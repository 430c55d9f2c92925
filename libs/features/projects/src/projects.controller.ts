import { Controller } from '@nestjs/common';
import { projectPatch, projectPost, projectPut, projectsPost, type Project, type ProjectPost, type ProjectPut, type ProjectsPost, type ProjectState } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, DecidesInTransaction, Delete, Get, IfMatch, LookFirst, Param, Patch, Post, Put, Query, type ApiResponse } from '#platform/http';
import { ProjectViews } from './project-views.service.js';

const projectFirst = LookFirst(ProjectViews, (projects, { params }) => projects.get(params['name'] ?? ''));

@Controller('1.0/projects')
export class ProjectsController {
  constructor(private readonly projects: ProjectViews) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Query('recursion') recursion?: string): string[] | Project[] {
    return this.projects.list(ctx, recursion);
  }

  @Post()
  @DecidesInTransaction()
  create(@Ctx() ctx: RequestContext, @Body({ schema: projectsPost }) body: ProjectsPost): Promise<ApiResponse> {
    return this.projects.create(ctx, body);
  }

  @Get(':name')
  get(@Param('name') name: string): ApiResponse {
    return this.projects.get(name);
  }

  @Put(':name')
  @projectFirst
  @DecidesInTransaction()
  replace(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: projectPut }) body: ProjectPut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    return this.projects.update(ctx, name, body, { patch: false, ifMatch });
  }

  @Patch(':name')
  @projectFirst
  @DecidesInTransaction()
  change(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: projectPatch }) body: ProjectPut, @IfMatch() ifMatch?: string): Promise<ApiResponse> {
    return this.projects.update(ctx, name, body, { patch: true, ifMatch });
  }

  @Post(':name')
  rename(@Ctx() ctx: RequestContext, @Param('name') name: string, @Body({ schema: projectPost }) body: ProjectPost): Promise<ApiResponse> {
    return this.projects.rename(ctx, name, body);
  }

  @Delete(':name')
  @DecidesInTransaction()
  remove(@Ctx() ctx: RequestContext, @Param('name') name: string): Promise<ApiResponse> {
    return this.projects.remove(ctx, name);
  }

  @Get(':name/state')
  state(@Param('name') name: string): ProjectState {
    return this.projects.state(name);
  }
}
