import type { IncomingHttpHeaders } from 'node:http';
import { Controller } from '@nestjs/common';
import { instancesPost, instancesPut, type Instance, type InstanceFull, type InstancesPost, type InstancesPut } from '#api-types';
import { invalid, type RequestContext } from '#kernel';
import {
  Body, Ctx, Get, isAllProjects, operationResponse, parseRecursion, Post, Put, Query, RawBody, RequestHeaders, Streaming, validateBody, type ApiResponse, type RawRequestBody,
} from '#platform/http';
import { isArchive } from '#features/storage';
import { InstancePlacement } from '../members/instance-placement.service.js';
import { InstanceImports } from '../backups/instance-imports.service.js';
import { BulkStateChanges } from '../members/bulk-state-changes.js';
import { InstancesService, type InstanceTree, type ListOptions } from '../instances.service.js';
import { collections, Tree, typeFilter } from './instance-tree.js';

type ListQuery = Readonly<Record<string, string | undefined>>;

@Controller(collections)
export class InstancesController {
  constructor(
    private readonly instances: InstancesService,
    private readonly placement: InstancePlacement,
    private readonly states: BulkStateChanges,
    private readonly imports: InstanceImports,
  ) {}

  @Get()
  list(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Query() query: ListQuery): Promise<string[] | Instance[] | InstanceFull[]> {
    const options = listOptions(ctx, tree, query);
    const recursion = parseRecursion(query['recursion']);
    if (recursion === 0) return this.instances.listUrls(tree, options);
    return recursion === 1 ? this.instances.list(options) : this.instances.listFull(options);
  }

  @Post()
  @Streaming()
  async create(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Query('target') target: string | undefined, @RawBody() body: RawRequestBody, @RequestHeaders() headers: IncomingHttpHeaders,
  ): Promise<ApiResponse> {
    if (isArchive(body.contentType)) return operationResponse(await this.imports.import(ctx, body, headers));
    const request = await validateBody<InstancesPost>(instancesPost, await body.json());
    return operationResponse(await this.placement.create(ctx, request, tree.type, target ?? ''));
  }

  @Put()
  async changeStates(@Ctx() ctx: RequestContext, @Body({ schema: instancesPut }) body: InstancesPut): Promise<ApiResponse> {
    return operationResponse(await this.states.change(ctx, body.state ?? {}));
  }
}

function listOptions(ctx: RequestContext, tree: InstanceTree, query: ListQuery): ListOptions {
  const allProjects = isAllProjects(query);
  if (allProjects && (query['project'] ?? '') !== '') throw invalid('Cannot specify a project when requesting all projects');
  return { project: allProjects ? null : ctx.project, type: typeFilter(tree, query['instance-type']), filter: query['filter'] };
}
