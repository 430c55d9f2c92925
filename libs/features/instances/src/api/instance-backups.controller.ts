import { Controller } from '@nestjs/common';
import { instanceBackupPost, instanceBackupsPost, type InstanceBackup, type InstanceBackupPost, type InstanceBackupsPost } from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, Delete, filterList, Get, operationResponse, Param, parseRecursion, Post, Query, RequestHeader, type ApiResponse } from '#platform/http';
import { BackupRequests } from '../backups/backup-requests.service.js';
import { InstancesService, type InstanceTree } from '../instances.service.js';
import { instanceFirst, projectFirst } from './instance-first.js';
import { collections, Tree } from './instance-tree.js';

@Controller(collections.map((path) => `${path}/:name/backups`))
export class InstanceBackupsController {
  constructor(
    private readonly instances: InstancesService,
    private readonly backups: BackupRequests,
  ) {}

  @Get()
  async list(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Query('recursion') recursion?: string, @Query('filter') filter?: string,
  ): Promise<string[] | InstanceBackup[]> {
    const instance = await this.instances.find(ctx.project, name, tree);
    return parseRecursion(recursion) === 0 ? this.backups.urls(instance) : filterList(filter, this.backups.list(instance).map((backup) => this.backups.api(backup)));
  }

  @Post()
  @projectFirst
  @instanceFirst
  async create(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Body({ schema: instanceBackupsPost }) body: InstanceBackupsPost): Promise<ApiResponse> {
    return operationResponse(await this.backups.create(ctx, await this.instances.get(ctx.project, name, tree), body));
  }

  @Get(':backup')
  async get(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('backup') backup: string): Promise<InstanceBackup> {
    return this.backups.api(this.backups.get(await this.instances.find(ctx.project, name, tree), backup));
  }

  @Post(':backup')
  @instanceFirst
  async rename(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('backup') backup: string, @Body({ schema: instanceBackupPost }) body: InstanceBackupPost,
  ): Promise<ApiResponse> {
    const instance = await this.instances.get(ctx.project, name, tree);
    return operationResponse(await this.backups.rename(ctx, instance, this.backups.get(instance, backup), body));
  }

  @Delete(':backup')
  async delete(@Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('backup') backup: string): Promise<ApiResponse> {
    const instance = await this.instances.get(ctx.project, name, tree);
    return operationResponse(await this.backups.delete(ctx, instance, this.backups.get(instance, backup)));
  }

  @Get(':backup/export')
  async export(
    @Ctx() ctx: RequestContext, @Tree() tree: InstanceTree, @Param('name') name: string, @Param('backup') backup: string, @RequestHeader('range') range?: string,
  ): Promise<ApiResponse> {
    const instance = await this.instances.get(ctx.project, name, tree);
    return this.backups.export(instance, this.backups.get(instance, backup), range);
  }
}
