import type { Socket } from 'node:net';
import { Writable, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { AppError, internal } from '#kernel';
import { VolumeTransfer, type ReceiveVolumeRequest, type SendVolumeRequest, type TransferFormat } from '#ports';
import { openReader, openWriter, ownEndpoint } from '#platform/agent-client';
import { IntakeStream, recycle } from '#platform/bytes';
import { byteCounter } from './byte-counter.js';

type Endpoint = 'endpointUid' | 'endpointGid';

export interface TransferWatch {
  readonly signal: AbortSignal;
  progress(metadata: Record<string, unknown>): void;
}

export interface FetchedVolume extends Omit<ReceiveVolumeRequest, Endpoint | 'format'> {
  /** As progress shows it. */
  readonly name: string;
  /** What the member that has the volume can send. */
  readonly formats: readonly TransferFormat[];
}

/** Volumes on their way between this host's agent and another member: the bytes of one volume and its snapshots in each stream. */
@Injectable()
export class VolumeCarrier {
  constructor(private readonly transfers: VolumeTransfer) {}

  /** Writes a volume of this host to a stream, and ends it when all was written: one that fails is destroyed instead. */
  async send(request: Omit<SendVolumeRequest, Endpoint>, stream: Duplex, signal: AbortSignal): Promise<void> {
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

  /** Fills a volume of this host from what `open` answers when it is asked for a format both know. It is there, whole, when this resolves. */
  async fetch({ name, formats, ...request }: FetchedVolume, open: (format: TransferFormat) => Promise<Duplex>, watch: TransferWatch): Promise<void> {
    const ours = await this.transfers.transferFormats(request.volume.pool);
    const format = ours.find((one) => formats.includes(one));
    if (format === undefined) throw internal('The members have no way to send a volume in common');
    const stream = await open(format);
    // It may fail before anybody reads it; who reads it hears of that all the same.
    stream.on('error', () => undefined);
    stream.end();
    const { sessionId, path } = await this.transfers.receiveVolume({ ...request, format, ...ownEndpoint }).catch((error: unknown) => {
      stream.destroy();
      throw error;
    });
    await this.receive(stream, sessionId, path, name, watch);
  }

  private async receive(stream: Duplex, sessionId: string, path: string, name: string, watch: TransferWatch): Promise<void> {
    const abort = new AbortController();
    const giveUp = (): void => abort.abort();
    watch.signal.addEventListener('abort', giveUp, { once: true });
    try {
      const pumped = pipeline(stream, counting(await openWriter(path), name, watch), { signal: abort.signal });
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

/** Passes bytes on, gives back the memory they came in, and says how many they are and how fast. */
function counting(target: Socket, name: string, watch: TransferWatch): Writable {
  const count = byteCounter((text) => watch.progress({ fs_progress: `${name}: ${text}` }));
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
