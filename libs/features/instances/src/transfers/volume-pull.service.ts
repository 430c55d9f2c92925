import { Injectable } from '@nestjs/common';
import { Peers } from '#ports';
import { isBulk, SnapshotVolumes, VolumesService, VolumeCarrier, type InstanceVolumeKey, type TransferWatch } from '#features/storage';
import type { CopySource } from '../copies/copy-operation.params.js';
import type { SendInstanceVolume, VolumeOffer } from './volume-source.service.js';

export interface PullRequest {
  /** Where the volume is. */
  readonly memberId: number;
  /** The instance's there. */
  readonly id: number;
  readonly name: string;
  /** Snapshot to take instead of the present content; empty for that. */
  readonly snapshot: string;
  readonly snapshots: readonly string[];
  readonly target: InstanceVolumeKey;
  readonly sizeBytes: number;
  readonly fence: string | null;
  /** Refreshes a volume that is there, see `ReceiveVolumeRequest`; empty for one that is not. */
  readonly refreshToken: string;
  /** As in `CopySource`. Absent: of one that does not run. */
  readonly running?: Pick<CopySource, 'live' | 'inconsistent'>;
}

/** Fetches the volume of another member's instance. It is there, whole, when this resolves; what an attempt leaves goes with the next one or with the volume. */
@Injectable()
export class VolumePull {
  constructor(
    private readonly peers: Peers,
    private readonly streams: VolumeCarrier,
    private readonly volumes: VolumesService,
    private readonly snapshots: SnapshotVolumes,
  ) {}

  /** `refreshed`: a volume of this host that is to be brought up to date. */
  async offer(memberId: number, id: number, refreshed?: InstanceVolumeKey): Promise<VolumeOffer> {
    const known = refreshed === undefined ? [] : await this.streams.known(this.volumes.volumeSpec(refreshed));
    return this.peers.call<VolumeOffer>(memberId, 'instances.offer-volume', { id, known });
  }

  async pull(request: PullRequest, offer: VolumeOffer, watch: TransferWatch): Promise<void> {
    const volume = this.volumes.volumeSpec(request.target);
    if (request.refreshToken === '' && (await this.snapshots.isThere(request.target))) return;
    const { id, snapshot, snapshots, fence, sizeBytes, refreshToken, name, running } = request;
    await this.streams.fetch({ volume, snapshots, sizeBytes, refreshToken, name, offer }, ({ format, bases }) => {
      const order: SendInstanceVolume = { id, snapshot, snapshots: [...snapshots], format, bases: [...bases], fence, stateless: running?.live === false, inconsistent: running?.inconsistent === true };
      return this.peers.openStream(request.memberId, 'instances.send-volume', order, { timeoutMs: 0, signal: watch.signal, bulk: isBulk(format) });
    }, watch);
  }
}
