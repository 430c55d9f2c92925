import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { AppError, internalContext, notFound } from '#kernel';
import { Peers, StorageDriver, VolumeTransfer, type PeerCaller, type TransferFormat, type VolumeSpec } from '#ports';
import { Database } from '#platform/database';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { VolumeCarrier, type TransferWatch } from '../../transfers/volume-carrier.js';
import { CustomVolumeHost } from '../custom-volume-host.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';
import type { CopyVolumeParams } from './copy-volume.params.js';

const named = z.object({ pool: z.string(), project: z.string(), name: z.string(), memberId: z.int(), contentType: z.enum(['filesystem', 'block']) });
const order = named.extend({ snapshot: z.string(), snapshots: z.array(z.string()), format: z.enum(['btrfs', 'tar']) });

/** Custom volumes from member to member: who wants one asks the member that has it, which keeps nothing of the request. */
@Injectable()
export class VolumeFetch {
  constructor(
    private readonly peers: Peers,
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
    private readonly host: CustomVolumeHost,
    private readonly storage: StorageDriver,
    private readonly transfers: VolumeTransfer,
    private readonly streams: VolumeCarrier,
  ) {}

  register(): void {
    this.peers.handle('storage.offer-custom-volume', async (request) => ({ formats: await this.transfers.transferFormats((await this.local(named.parse(request))).pool) }));
    this.peers.handleStream('storage.send-custom-volume', async (request: unknown, stream: Duplex, caller: PeerCaller) => {
      // A connection that is lost when all was sent already concerns nobody here; before that, whoever writes hears of it.
      stream.on('error', () => undefined);
      const { snapshot, snapshots, format, ...volume } = order.parse(request);
      await this.streams.send({ volume: await this.local(volume), snapshots, sourceSnapshot: snapshot, format }, stream, caller.signal);
    });
  }

  /** Makes the files of the copy from another member's; nothing where they are there. `refreshToken` as in `ReceiveVolumeRequest`. */
  async fetch(params: CopyVolumeParams, watch: TransferWatch, refreshToken = ''): Promise<void> {
    const volume = this.host.spec(params);
    if (refreshToken === '' && (await this.isThere(volume))) return;
    const { source, sourceSnapshot: snapshot, sizeBytes } = params;
    const snapshots = params.snapshots.map(({ name }) => name);
    const { formats } = await this.peers.call<{ formats: TransferFormat[] }>(source.memberId, 'storage.offer-custom-volume', source);
    await this.streams.fetch({ volume, snapshots, sizeBytes, refreshToken, name: params.name, formats },
      (format) => this.peers.openStream(source.memberId, 'storage.send-custom-volume', { ...source, snapshot, snapshots, format }, { timeoutMs: 0, signal: watch.signal, bulk: true }), watch);
  }

  private async local(volume: VolumeParams): Promise<VolumeSpec> {
    await this.database.barrier(internalContext());
    if (this.volumes.findCreated(this.database.read, volumeKeyOf(volume)) === undefined) throw notFound('Storage pool volume not found');
    return this.host.spec(volume);
  }

  private async isThere(volume: VolumeSpec): Promise<boolean> {
    try {
      await this.storage.describeVolume(volume);
      return true;
    } catch (error) {
      if (AppError.is(error, 'not-found')) return false;
      throw error;
    }
  }
}
