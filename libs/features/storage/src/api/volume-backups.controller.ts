import { Controller } from '@nestjs/common';
import {
  storagePoolVolumeBackupPost, storagePoolVolumeBackupsPost, type StoragePoolVolumeBackup, type StoragePoolVolumeBackupPost, type StoragePoolVolumeBackupsPost,
} from '#api-types';
import type { RequestContext } from '#kernel';
import { Body, Ctx, Delete, Get, operationResponse, Param, parseRecursion, Post, Query, RequestHeader, type ApiResponse } from '#platform/http';
import { VolumeBackupRequests } from '../custom/backups/volume-backup-requests.service.js';
import { volumeFirst } from './volume-first.js';
import { OneVolume, type VolumeInUrl } from './volume-url.js';

/** Backups of custom volumes. */
@Controller('/1.0/storage-pools/:pool/volumes/:type/:name/backups')
export class VolumeBackupsController {
  constructor(private readonly backups: VolumeBackupRequests) {}

  @Get()
  list(@OneVolume() volume: VolumeInUrl, @Query('recursion') recursion?: string): string[] | StoragePoolVolumeBackup[] {
    const row = this.backups.volume(volume);
    return parseRecursion(recursion) === 0 ? this.backups.urls(row) : this.backups.list(row).map((backup) => this.backups.api(backup));
  }

  @Post()
  @volumeFirst
  async create(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Body({ schema: storagePoolVolumeBackupsPost }) body: StoragePoolVolumeBackupsPost): Promise<ApiResponse> {
    return operationResponse(await this.backups.create(ctx, this.backups.volume(volume), body));
  }

  @Get(':backup')
  get(@OneVolume() volume: VolumeInUrl, @Param('backup') name: string): StoragePoolVolumeBackup {
    return this.backups.api(this.backups.get(this.backups.volume(volume), name));
  }

  @Post(':backup')
  @volumeFirst
  async rename(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Param('backup') name: string, @Body({ schema: storagePoolVolumeBackupPost }) body: StoragePoolVolumeBackupPost): Promise<ApiResponse> {
    const row = this.backups.volume(volume);
    return operationResponse(await this.backups.rename(ctx, row, this.backups.get(row, name), body));
  }

  @Delete(':backup')
  async delete(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Param('backup') name: string): Promise<ApiResponse> {
    const row = this.backups.volume(volume);
    return operationResponse(await this.backups.delete(ctx, row, this.backups.get(row, name)));
  }

  @Get(':backup/export')
  async export(@Ctx() ctx: RequestContext, @OneVolume() volume: VolumeInUrl, @Param('backup') name: string, @RequestHeader('range') range?: string): Promise<ApiResponse> {
    const row = this.backups.volume(volume);
    return this.backups.export(ctx, row, this.backups.get(row, name), range);
  }
}
