import { Injectable } from '@nestjs/common';
import { VolumeTransfer, type PoolSpec, type ReceiveVolumeRequest, type SendVolumeRequest, type SnapshotIdentity, type TransferFormat, type TransferStarted, type VolumeSpec } from '#ports';
import { AgentChannel } from '#platform/rpc';

/** Transfers of volumes by the local agent; their bytes go through the endpoints it names. */
@Injectable()
export class RemoteVolumeTransfer extends VolumeTransfer {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async transferFormats(pool: PoolSpec): Promise<TransferFormat[]> {
    return (await this.agent.call<{ formats: TransferFormat[] }>('Storage', 'transferFormats', { pool })).formats;
  }

  override async identifySnapshots(volume: VolumeSpec): Promise<SnapshotIdentity[]> {
    return (await this.agent.call<{ snapshots: SnapshotIdentity[] }>('Storage', 'identifySnapshots', { volume })).snapshots;
  }

  override async sendVolume(request: SendVolumeRequest): Promise<TransferStarted> { return this.agent.call('Storage', 'sendVolume', request); }
  override async receiveVolume(request: ReceiveVolumeRequest): Promise<TransferStarted> { return this.agent.call('Storage', 'receiveVolume', request); }

  override async waitTransfer(sessionId: string, signal: AbortSignal): Promise<void> {
    await this.agent.call('Storage', 'waitTransfer', { sessionId }, { signal });
  }
}
