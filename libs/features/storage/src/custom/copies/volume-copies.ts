import { Injectable } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { VolumeSnapshots, type CopyVolumeRequest } from '#ports';
import type { StepContext } from '#platform/operations';
import { CustomVolumeHost } from '../custom-volume-host.js';
import type { CopyVolumeParams, RefreshVolumeParams } from './copy-volume.params.js';
import { VolumeFetch } from './volume-fetch.service.js';

/** Makes the files of a copy: on this host, or fetched from the member that has the source. */
@Injectable()
export class VolumeCopies {
  constructor(
    private readonly host: CustomVolumeHost,
    private readonly driver: VolumeSnapshots,
    private readonly fetch: VolumeFetch,
    private readonly self: LocalMember,
  ) {}

  async copy(params: CopyVolumeParams, watch: Pick<StepContext, 'signal' | 'progress'>): Promise<void> {
    if (params.source.memberId === this.self.id) await this.driver.copyVolume(copyRequest(this.host, params));
    else await this.fetch.fetch(params, watch);
  }

  /** What the volume held is kept under `token`, see `VolumeSnapshots.refreshVolume`. */
  async refresh(params: RefreshVolumeParams, token: string, watch: Pick<StepContext, 'signal' | 'progress'>): Promise<void> {
    if (params.source.memberId === this.self.id) await this.driver.refreshVolume(copyRequest(this.host, params), token);
    else await this.fetch.fetch({ ...params, snapshots: params.snapshots.filter(({ name }) => params.added.includes(name)) }, watch, token);
  }
}

function copyRequest(host: CustomVolumeHost, params: CopyVolumeParams): CopyVolumeRequest {
  return {
    source: host.spec(params.source), sourceSnapshot: params.sourceSnapshot, target: host.spec(params),
    snapshots: params.snapshots.map(({ name }) => name), sizeBytes: params.sizeBytes,
  };
}
