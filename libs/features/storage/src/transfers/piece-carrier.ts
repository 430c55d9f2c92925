import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { internal } from '#kernel';
import { VolumeMigration, type MigrationPiece, type ReceivePiecesRequest, type SendPiecesRequest } from '#ports';
import { ownEndpoint } from '#platform/agent-client';
import { exchangePiece } from '../migration/piece-exchange.js';
import { reasonOf, untilAborted } from '../migration/until-aborted.js';
import { StreamFrames } from './stream-frames.js';

type Endpoint = 'endpointUid' | 'endpointGid';
/** Members are near each other: compressing costs more than it saves. */
const exact: Omit<MigrationPiece, 'snapshot' | keyof SendingOptions> = { format: 'rsync', xattrs: true, delete: true, compress: false, exact: true };

export type SendingOptions = Pick<MigrationPiece, 'bandwidth' | 'inconsistent'>;

interface Exchange {
  readonly snapshots: readonly string[];
  readonly options: SendingOptions;
  readonly count: (bytes: number) => void;
  readonly sends: boolean;
  /** When all pieces have gone their way, and before this host's agent is told so. */
  readonly settled: (frames: StreamFrames) => Promise<void>;
}

/** Volumes between members as differences to what the other member has: rsync at both ends, piece by piece in one stream. */
@Injectable()
export class PieceCarrier {
  constructor(private readonly migration: VolumeMigration) {}

  /** Sends what the other side lacks; it has all when the stream ends. */
  async send(request: Omit<SendPiecesRequest, Endpoint>, options: SendingOptions, stream: Duplex, signal: AbortSignal): Promise<void> {
    const { snapshots } = request;
    const sessionId = await this.migration.sendPieces({ ...request, ...ownEndpoint });
    await this.exchange(sessionId, stream, { sends: true, snapshots, options, count: () => undefined, settled: async () => undefined }, signal);
    stream.end();
  }

  /** Refreshes a volume of this host. Whole when this resolves, and not touched when it does not. */
  async receive(request: Omit<ReceivePiecesRequest, Endpoint>, stream: Duplex, count: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const sessionId = await this.migration.receivePieces({ ...request, ...ownEndpoint });
    await this.exchange(sessionId, stream, { sends: false, snapshots: request.snapshots, options: { bandwidth: '', inconsistent: false }, count, settled: untilEnded }, signal);
  }

  private async exchange(sessionId: string, stream: Duplex, { sends, snapshots, options, count, settled }: Exchange, signal: AbortSignal): Promise<void> {
    const abort = new AbortController();
    const giveUp = (): void => abort.abort(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    const lost = (): void => abort.abort(stream.errored ?? internal('The other member has hung up'));
    stream.once('close', lost);
    const held = this.migration.waitPieces(sessionId, abort.signal);
    held.catch((error: unknown) => abort.abort(error));
    try {
      const frames = new StreamFrames(stream);
      for (const snapshot of [...snapshots, '']) await untilAborted(exchangePiece({ migration: this.migration, sessionId, frames, sends, count }, { ...exact, ...options, snapshot }), abort.signal);
      await untilAborted(settled(frames), abort.signal);
      stream.off('close', lost);
      await this.migration.endPieces(sessionId);
      await held;
    } catch (error) {
      abort.abort(error);
      await held.catch(() => undefined);
      throw reasonOf(error, abort.signal);
    } finally {
      signal.removeEventListener('abort', giveUp);
      stream.off('close', lost);
    }
  }
}

/** The other side ends its stream when nothing of what it has sent was replaced meanwhile. */
async function untilEnded(frames: StreamFrames): Promise<void> {
  if ((await frames.take()) !== null) throw internal('The other member sends more than it has announced');
}
