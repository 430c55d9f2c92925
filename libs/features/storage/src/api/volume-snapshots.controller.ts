import { Controller } from '@nestjs/common';
import { Get, Param, parseRecursion, Query, syncResponse, type ApiResponse } from '#platform/http';
import { etagOfVolumeSnapshot, VolumeSnapshotViews } from '../volume-snapshot-views.service.js';
import { OneVolume, type VolumeInUrl } from './volume-url.js';

@Controller('/1.0/storage-pools/:pool/volumes/:type/:name/snapshots')
export class VolumeSnapshotsController {
  constructor(private readonly views: VolumeSnapshotViews) {}

  @Get()
  list(@OneVolume() volume: VolumeInUrl, @Query('recursion') recursion?: string): unknown[] {
    return parseRecursion(recursion) > 0 ? this.views.list(volume) : this.views.urls(volume);
  }

  @Get(':snapshot')
  get(@OneVolume() volume: VolumeInUrl, @Param('snapshot') name: string): ApiResponse {
    const { row, snapshot } = this.views.get(volume, name);
    return syncResponse(this.views.api(row, snapshot), { etag: etagOfVolumeSnapshot(row, snapshot) });
  }
}
