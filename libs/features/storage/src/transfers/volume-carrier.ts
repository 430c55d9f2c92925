import type { Socket } from 'node:net';
import { Writable, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { AppError, internal, Logger, messageOf } from '#kernel';
import { VolumeTransfer, type ReceiveVolumeRequest, type SendVolumeRequest, type VolumeSpec } from '#ports';
import { openReader, openWriter, ownEndpoint } from '#platform/agent-client';
import { IntakeStream, recycle } from '#platform/bytes';
import { parentsOf } from '../rules/sent-differences.rules.js';
import { byteCounter } from './byte-counter.js';
import { PieceCarrier } from './piece-carrier.js';

type Endpoint = 'endpointUid' | 'endpointGid';

export interface TransferWatch {
  readonly signal: AbortSignal;
  progress(metadata: Record<string, unknown>): void;
}

/** How a volume travels from member to member: by `rsync` only what the files that are there differ by, otherwise all of it, or the difference to snapshots. */
export const carriedFormats = ['btrfs', 'tar', 'rsync'] as const;
export type CarriedFormat = (typeof carriedFormats)[number];

/** Whether megabytes come, and nothing is said in return. */
export function isBulk(format: CarriedFormat): boolean {
  return format !== 'rsync';
}

/** What the member that has a volume can send of it. */
export interface CarrierOffer {
  readonly formats: readonly CarriedFormat[];
  /** Snapshots of it that whoever asks has as they are. Absent: none. */
  readonly bases?: readonly string[];
}

/** What is asked of that member. */
export interface CarrierOrder {
  readonly format: CarriedFormat;
  /** Some of those offered: what is sent is the difference to them. */
  readonly bases: readonly string[];
}

export interface SentVolume extends Omit<SendVolumeRequest, Endpoint | 'format' | 'parents'>, CarrierOrder {
  /** All snapshots of the volume, oldest first. */
  readonly history: readonly string[];
  /** Files that vanish meanwhile do no harm. */
  readonly inconsistent?: boolean;
}

export interface FetchedVolume extends Omit<ReceiveVolumeRequest, Endpoint | 'format'> {
  /** As progress shows it. */
  readonly name: string;
  readonly offer: CarrierOffer;
}

/**
 * Volumes on their way between this host's agent and another member: the bytes of one volume and its snapshots in each stream. One that is there already is
 * brought up to date by what it lacks: the difference to a snapshot both members have, or else to its files.
 */
@Injectable()
export class VolumeCarrier {
  constructor(
    private readonly transfers: VolumeTransfer,
    private readonly pieces: PieceCarrier,
    private readonly logger: Logger,
  ) {}

  /** What the content of a volume's snapshots is known by, for an offer. */
  async known(volume: VolumeSpec): Promise<string[]> {
    return (await this.transfers.identifySnapshots(volume)).flatMap(({ ids }) => ids);
  }

  async offer(volume: VolumeSpec, known: readonly string[]): Promise<CarrierOffer> {
    const formats: CarriedFormat[] = [...(await this.transfers.transferFormats(volume.pool)), 'rsync'];
    if (known.length === 0) return { formats, bases: [] };
    const found = await this.transfers.identifySnapshots(volume);
    return { formats, bases: found.filter(({ ids }) => known.includes(ids.at(-1)!)).map(({ snapshot }) => snapshot) };
  }

  /** Writes a volume of this host to a stream, and ends it when all was written: one that fails is destroyed instead. */
  async send({ format, bases, history, inconsistent = false, ...request }: SentVolume, stream: Duplex, signal: AbortSignal): Promise<void> {
    const { volume, snapshots, sourceSnapshot } = request;
    if (format === 'rsync') return this.pieces.send(request, { bandwidth: bandwidthOf(volume), inconsistent }, stream, signal);
    return this.sendWhole({ ...request, format, parents: parentsOf({ history, bases, snapshots, sourceSnapshot }) }, stream, signal);
  }

  /** Fills a volume of this host from what `open` answers when it is asked for a format both know. It is there, whole, when this resolves. */
  async fetch({ name, offer, ...request }: FetchedVolume, open: (order: CarrierOrder) => Promise<Duplex>, watch: TransferWatch): Promise<void> {
    const count = byteCounter((text) => watch.progress({ fs_progress: `${name}: ${text}` }));
    const orders = await this.orders(request, offer);
    for (const [index, order] of orders.entries()) {
      try {
        return await this.take(request, order, await open(order), count, watch.signal);
      } catch (error) {
        if (index === orders.length - 1 || watch.signal.aborted || !AppError.is(error, 'internal')) throw error;
        this.logger.warn('Failed taking over the difference to a snapshot, comparing files instead', { volume: request.volume.name, error: messageOf(error) });
      }
    }
  }

  /** The best first, and what is left where that fails. */
  private async orders({ volume, refreshToken }: Pick<FetchedVolume, 'volume' | 'refreshToken'>, { formats, bases = [] }: CarrierOffer): Promise<CarrierOrder[]> {
    const ours = await this.transfers.transferFormats(volume.pool);
    const whole = ours.find((one) => formats.includes(one));
    if (whole === undefined) throw internal('The members have no way to send a volume in common');
    if (!refreshToken || !formats.includes('rsync')) return [{ format: whole, bases: [] }];
    return [...(whole === 'btrfs' && bases.length > 0 ? [{ format: whole, bases }] : []), { format: 'rsync', bases: [] }];
  }

  private async take(request: Omit<FetchedVolume, 'name' | 'offer'>, { format }: CarrierOrder, stream: Duplex, count: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    // It may fail before anybody reads it; who reads it hears of that all the same.
    stream.on('error', () => undefined);
    try {
      if (format === 'rsync') return await this.pieces.receive({ ...request, refreshToken: request.refreshToken ?? '' }, stream, count, signal);
      stream.end();
      const { sessionId, path } = await this.transfers.receiveVolume({ ...request, format, ...ownEndpoint });
      await this.receive(stream, sessionId, path, count, signal);
    } finally {
      stream.destroy();
    }
  }

  private async sendWhole(request: Omit<SendVolumeRequest, Endpoint>, stream: Duplex, signal: AbortSignal): Promise<void> {
    const abort = new AbortController();
    const giveUp = (): void => abort.abort();
    signal.addEventListener('abort', giveUp, { once: true });
    stream.once('close', giveUp);
    const { sessionId, path } = await this.transfers.sendVolume({ ...request, ...ownEndpoint });
    try {
      const reader = await IntakeStream.open((onread) => openReader(path, onread));
      const pumped = pipeline(reader, stream, { end: false });
      pumped.catch(giveUp);
      await Promise.all([pumped, this.transfers.waitTransfer(sessionId, abort.signal)]);
      stream.end();
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  private async receive(stream: Duplex, sessionId: string, path: string, count: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const abort = new AbortController();
    const giveUp = (): void => abort.abort();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      const pumped = pipeline(stream, counting(await openWriter(path), count), { signal: abort.signal });
      const received = this.transfers.waitTransfer(sessionId, abort.signal);
      // Whichever end fails first says why; the other only hears that it is over.
      pumped.catch(giveUp);
      received.catch(giveUp);
      const [sent, taken] = await Promise.allSettled([pumped, received]);
      const reasons = [sent, taken].flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []));
      const reason = reasons.find((error) => error instanceof AppError && error.kind !== 'unavailable') ?? reasons.find((error) => error.name !== 'AbortError') ?? reasons[0];
      if (reason !== undefined) throw reason;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }
}

/** `rsync.bwlimit` of the pool, as rsync reads it. */
function bandwidthOf({ pool }: VolumeSpec): string {
  const limit = pool.config['rsync.bwlimit'] ?? '';
  return limit === '0' ? '' : limit;
}

/** Passes bytes on, gives back the memory they came in, and says how many they are. */
function counting(target: Socket, count: (bytes: number) => void): Writable {
  const counted = new Writable({
    highWaterMark: 1024 * 1024,
    write(chunk: Buffer, _encoding, done) {
      count(chunk.length);
      target.write(chunk, (error) => {
        recycle(chunk);
        done(error);
      });
    },
    final(done) {
      target.end(() => done());
    },
    destroy(error, done) {
      target.destroy();
      done(error);
    },
  });
  target.on('error', (error) => counted.destroy(error));
  return counted;
}
