import { Injectable } from '@nestjs/common';
import { VolumeSnapshots, type CopyVolumeRequest, type VolumeSpec } from '#ports';
import { AgentChannel } from '#platform/rpc';

/** The snapshots port, carried out by the local agent. */
@Injectable()
export class RemoteVolumeSnapshots extends VolumeSnapshots {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async createSnapshot(volume: VolumeSpec, snapshot: string): Promise<void> { await this.call('createSnapshot', { volume, snapshot }); }
  override async destroySnapshot(volume: VolumeSpec, snapshot: string): Promise<void> { await this.call('destroySnapshot', { volume, snapshot }); }

  override async renameSnapshot(volume: VolumeSpec, snapshot: string, newName: string): Promise<void> {
    await this.call('renameSnapshot', { volume, snapshot, newName });
  }

  override async listSnapshots(volume: VolumeSpec): Promise<string[]> {
    return (await this.call<{ snapshots: string[] }>('listSnapshots', { volume })).snapshots;
  }

  override async measureSnapshots(volume: VolumeSpec, snapshots: readonly string[]): Promise<number[]> {
    return (await this.call<{ sizes: number[] }>('measureSnapshots', { volume, snapshots })).sizes;
  }

  override async restoreSnapshot(volume: VolumeSpec, snapshot: string, token: string, keepApart: boolean): Promise<void> {
    await this.call('restoreSnapshot', { volume, snapshot, token, keepApart });
  }

  override async undoRestore(volume: VolumeSpec, token: string): Promise<void> { await this.call('undoRestore', { volume, token }); }
  override async finishRestore(volume: VolumeSpec, token: string): Promise<void> { await this.call('finishRestore', { volume, token }); }
  override async copyVolume(request: CopyVolumeRequest): Promise<void> { await this.call('copyVolume', request); }
  override async refreshVolume(request: CopyVolumeRequest, token: string): Promise<void> { await this.call('refreshVolume', { ...request, token }); }

  private call<Reply>(method: string, request: object): Promise<Reply> { return this.agent.call<Reply>('Storage', method, request); }
}
