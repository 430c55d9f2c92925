import { Transform, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { AppError, internal } from '#kernel';
import { Peers, VolumeTransfer } from '#ports';
import { SnapshotVolumes, VolumesService, type InstanceVolumeKey } from '#features/storage';
import { openWriter } from '../exec/byte-endpoints.js';
import { byteCounter } from './byte-counter.js';
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
}

export interface PullWatch {
  readonly signal: AbortSignal;
  progress(metadata: Record<string, unknown>): void;
}

/** Fetches the volume of another member's instance. It is there, whole, when this resolves; what an attempt leaves goes with the next one or with the volume. */
@Injectable()
export class VolumePull {
  constructor(
    private readonly peers: Peers,
    private readonly transfers: VolumeTransfer,
    private readonly volumes: VolumesService,
    private readonly snapshots: SnapshotVolumes,
  ) {}

  offer(memberId: number, id: number): Promise<VolumeOffer> {
    return this.peers.call<VolumeOffer>(memberId, 'instances.offer-volume', { id });
  }

  async pull(request: PullRequest, offer: VolumeOffer, watch: PullWatch): Promise<void> {
    const volume = this.volumes.volumeSpec(request.target);
    if (request.refreshToken === '' && (await this.snapshots.isThere(request.target))) return;
    const ours = await this.transfers.transferFormats(volume.pool);
    const format = ours.find((one) => offer.formats.includes(one));
    if (format === undefined) throw internal('The members have no way to send a volume in common');
    const { id, snapshot, snapshots, fence } = request;
    const order: SendInstanceVolume = { id, snapshot, snapshots: [...snapshots], format, fence };
    const stream = await this.peers.openStream(request.memberId, 'instances.send-volume', order, { timeoutMs: 0, signal: watch.signal });
    // It may fail before anybody reads it; who reads it hears of that all the same.
    stream.on('error', () => undefined);
    stream.end();
    const { sessionId, path } = await this.transfers.receiveVolume({
      volume, snapshots, format, sizeBytes: request.sizeBytes, refreshToken: request.refreshToken, endpointUid: process.getuid?.() ?? 0, endpointGid: process.getgid?.() ?? 0,
    }).catch((error: unknown) => {
      stream.destroy();
      throw error;
    });
    await this.receive(stream, sessionId, path, request.name, watch);
  }

  private async receive(stream: Duplex, sessionId: string, path: string, name: string, watch: PullWatch): Promise<void> {
    const abort = new AbortController();
    const giveUp = (): void => abort.abort();
    watch.signal.addEventListener('abort', giveUp, { once: true });
    try {
      const pumped = pipeline(stream, counter(name, watch), await openWriter(path), { signal: abort.signal });
      const received = this.transfers.waitTransfer(sessionId, abort.signal);
      // Whichever end fails first says why; the other only hears that it is over.
      pumped.catch(giveUp);
      received.catch(giveUp);
      const [sent, taken] = await Promise.allSettled([pumped, received]);
      const reasons = [sent, taken].flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
      const reason = reasons.find((error) => error instanceof AppError && error.kind !== 'unavailable') ?? reasons.find((error) => error.name !== 'AbortError') ?? reasons[0];
      if (reason !== undefined) throw reason;
    } finally {
      watch.signal.removeEventListener('abort', giveUp);
      stream.destroy();
    }
  }
}

/** Passes bytes on and says how many and how fast. */
function counter(name: string, watch: PullWatch): Transform {
  const count = byteCounter((text) => watch.progress({ fs_progress: `${name}: ${text}` }));
  return new Transform({
    highWaterMark: 1024 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      count(chunk.length);
      done(null, chunk);
    },
  });
}
