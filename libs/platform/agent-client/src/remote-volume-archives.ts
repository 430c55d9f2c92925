import { Injectable } from '@nestjs/common';
import {
  VolumeArchives, type BackupInspection, type PackBackupRequest, type PackImageRequest, type TransferStarted, type UnpackBackupRequest, type UnshiftVolumeRequest, type VolumeFile, type VolumeSpec,
} from '#ports';
import { AgentChannel } from '#platform/rpc';

/** Archives of volumes by the local agent. */
@Injectable()
export class RemoteVolumeArchives extends VolumeArchives {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async packBackup(request: PackBackupRequest): Promise<TransferStarted> { return this.agent.call('Storage', 'packBackup', request); }
  override async packImage(request: PackImageRequest): Promise<TransferStarted> { return this.agent.call('Storage', 'packImage', request); }
  override async inspectBackup(path: string): Promise<BackupInspection> { return this.agent.call('Storage', 'inspectBackup', { path }); }

  override async unpackBackup(request: UnpackBackupRequest, signal: AbortSignal): Promise<void> {
    await this.agent.call('Storage', 'unpackBackup', request, { signal });
  }

  override async unshiftVolume(request: UnshiftVolumeRequest): Promise<void> {
    await this.agent.call('Storage', 'unshiftVolume', request);
  }

  override async readVolumeFile(volume: VolumeSpec, snapshot: string, file: VolumeFile): Promise<string> {
    return (await this.agent.call<{ content: string }>('Storage', 'readVolumeFile', { volume, snapshot, file })).content;
  }

  override async writeVolumeFile(volume: VolumeSpec, file: VolumeFile, content: string): Promise<void> {
    await this.agent.call('Storage', 'writeVolumeFile', { volume, file, content });
  }
}
