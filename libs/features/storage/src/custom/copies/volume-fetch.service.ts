import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { AppError, internalContext, notFound } from '#kernel';
import { Peers, StorageDriver, type PeerCaller, type VolumeSpec } from '#ports';
import { Database } from '#platform/database';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeRow } from '../../data/volumes.repository.js';
import { carriedFormats, isBulk, VolumeCarrier, type CarrierOffer, type TransferWatch } from '../../transfers/volume-carrier.js';
import { CustomVolumeHost } from '../custom-volume-host.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';
import type { CopyVolumeParams } from './copy-volume.params.js';

const named = z.object({ pool: z.string(), project: z.string(), name: z.string(), memberId: z.int(), contentType: z.enum(['filesystem', 'block']) });
const offered = named.extend({ known: z.array(z.string()).default([]) });
const order = named.extend({ snapshot: z.string(), snapshots: z.array(z.string()), format: z.enum(carriedFormats), bases: z.array(z.string()).default([]) });

/** Custom volumes from member to member: who wants one asks the member that has it, which keeps nothing of the request. */
@Injectable()
export class VolumeFetch {
  constructor(
    private readonly peers: Peers,
    private readonly database: Database,
    private readonly volumes: VolumesRepository,
    private readonly host: CustomVolumeHost,
    private readonly storage: StorageDriver,
    private readonly snapshots: VolumeSnapshotsRepository,
    private readonly streams: VolumeCarrier,
  ) {}

  register(): void {
    this.peers.handle('storage.offer-custom-volume', async (request) => {
      const { known, ...volume } = offered.parse(request);
      return this.streams.offer((await this.local(volume)).spec, known);
    });
    this.peers.handleStream('storage.send-custom-volume', async (request: unknown, stream: Duplex, caller: PeerCaller) => {
      // A connection that is lost when all was sent already concerns nobody here; before that, whoever writes hears of it.
      stream.on('error', () => undefined);
      const { snapshot, snapshots, format, bases, ...named } = order.parse(request);
      const { row, spec } = await this.local(named);
      const history = this.snapshots.list(this.database.read, row.id).map(({ name }) => name);
      await this.streams.send({ volume: spec, snapshots, sourceSnapshot: snapshot, format, bases, history }, stream, caller.signal);
    });
  }

  /** Makes the files of the copy from another member's; nothing where they are there. `refreshToken` as in `ReceiveVolumeRequest`. */
  async fetch(params: CopyVolumeParams, watch: TransferWatch, refreshToken = ''): Promise<void> {
    const volume = this.host.spec(params);
    if (refreshToken === '' && (await this.isThere(volume))) return;
    const { source, sourceSnapshot: snapshot, sizeBytes } = params;
    const snapshots = params.snapshots.map(({ name }) => name);
    const known = refreshToken === '' ? [] : await this.streams.known(volume);
    const offer = await this.peers.call<CarrierOffer>(source.memberId, 'storage.offer-custom-volume', { ...source, known });
    await this.streams.fetch({ volume, snapshots, sizeBytes, refreshToken, name: params.name, offer },
      (wanted) => this.peers.openStream(source.memberId, 'storage.send-custom-volume', { ...source, snapshot, snapshots, ...wanted }, { timeoutMs: 0, signal: watch.signal, bulk: isBulk(wanted.format) }), watch);
  }

  private async local(volume: VolumeParams): Promise<{ readonly row: VolumeRow; readonly spec: VolumeSpec }> {
    await this.database.barrier(internalContext());
    const row = this.volumes.findCreated(this.database.read, volumeKeyOf(volume));
    if (row === undefined) throw notFound('Storage pool volume not found');
    return { row, spec: this.host.spec(volume) };
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
