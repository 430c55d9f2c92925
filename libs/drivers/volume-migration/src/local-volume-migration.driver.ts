import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { invalid, notFound, randomHex, unavailable, type Logger, type StateDirectory } from '#kernel';
import { blockFileBytes, CopyTree, DiskStream, PoolDirectories, ReceivedPieces, RsyncStream, sizeBlockFile, type CommandRunner } from '#host';
import {
  VolumeMigration,
  type MigrationFormat, type MigrationPiece, type PieceEndpoint, type PoolSpec, type ReceivePiecesRequest, type SendPiecesRequest, type VolumePieces, type VolumeSpec, type VolumeStreams,
} from '#ports';
import { PieceSession, type PieceEnds } from './piece-session.js';

/** As rsync takes it: `500`, `2MB`, `1.5m`, `1GiB`; empty for no limit. */
const bandwidthPattern = /^([0-9]{1,15}(\.[0-9]{1,6})?([bB]|[kKmMgG]([iI]?[bB])?)?)?$/;

/** A session that nobody waits for this long has lost its daemon. */
const orphanPatienceMs = 10_000;

interface Session {
  readonly pieces: PieceSession;
  readonly done: Promise<void>;
  readonly orphanTimer: NodeJS.Timeout;
}

export interface LocalVolumeMigrationOptions {
  readonly state: StateDirectory;
  readonly command: CommandRunner;
  readonly logger: Logger;
  /** For the pipes of pieces. */
  readonly directory: string;
  /** By the pool's driver. */
  readonly drivers: ReadonlyMap<string, VolumeStreams>;
  readonly orphanPatienceMs?: number;
}

/** Pieces of volumes by rsync, those of block volumes as they are. Sessions end with the agent; what a receiver has left then goes when its pool is made ready next. */
export class LocalVolumeMigration extends VolumeMigration {
  private readonly sessions = new Map<string, Session>();
  private readonly rsync: RsyncStream;
  private readonly disks: DiskStream;
  private readonly copies: CopyTree;
  private readonly pieces: ReceivedPieces;

  constructor(private readonly options: LocalVolumeMigrationOptions) {
    super();
    this.rsync = new RsyncStream(options.command);
    this.disks = new DiskStream(options.command);
    this.copies = new CopyTree(options.command);
    this.pieces = new ReceivedPieces(options.command);
    rmSync(options.directory, { recursive: true, force: true });
    mkdirSync(options.directory, { recursive: true, mode: 0o711 });
    chmodSync(options.directory, 0o711);
  }

  override async migrationFormats({ block }: VolumeSpec): Promise<MigrationFormat[]> {
    return [block === true ? 'block' : 'rsync'];
  }

  override async sendPieces(request: SendPiecesRequest): Promise<string> {
    const streams = this.of(request.volume.pool);
    return this.begin(request, (session) => streams.withPieces(request, (pieces) => session.serve((piece, ends) => this.send(piece, pathOf(piece, request.snapshots, pieces), ends))));
  }

  override async receivePieces(request: ReceivePiecesRequest): Promise<string> {
    const streams = this.of(request.volume.pool);
    // How large a disk is is no quota.
    const quota = request.volume.block === true ? { sizeBytes: 0 } : {};
    return this.begin(request, (session) => streams.build({ ...request, ...quota }, async (scratch) => {
      let former = request.refreshToken === '' ? null : this.present(request.volume);
      await session.serve(async (piece, ends) => {
        const path = this.receivedPath(piece, request.snapshots, scratch);
        await this.receive(piece, path, former, ends);
        former = path;
      });
      await this.pieces.settle(request, scratch, 'What came', session.abort.signal);
      if (request.volume.block === true && (await blockFileBytes(`${scratch}/volume`)) < request.sizeBytes) await sizeBlockFile(`${scratch}/volume`, request.sizeBytes);
    }));
  }

  override async waitPieces(sessionId: string, signal: AbortSignal): Promise<void> {
    const session = this.session(sessionId);
    clearTimeout(session.orphanTimer);
    const abort = (): void => session.pieces.abort.abort(unavailable('The transfer was given up'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      await session.done;
    } finally {
      signal.removeEventListener('abort', abort);
      this.sessions.delete(sessionId);
    }
  }

  override async openPiece(sessionId: string, piece: MigrationPiece): Promise<PieceEndpoint> {
    if (!bandwidthPattern.test(piece.bandwidth)) throw invalid(`Invalid bandwidth "${piece.bandwidth}"`);
    return this.session(sessionId).pieces.open(piece);
  }

  override async waitPiece(sessionId: string): Promise<void> {
    await this.session(sessionId).pieces.wait();
  }

  override async endPieces(sessionId: string): Promise<void> {
    this.session(sessionId).pieces.end();
  }

  /** Ends what is under way: without this agent nobody would give received pieces their names. */
  async close(): Promise<void> {
    for (const { pieces, orphanTimer } of this.sessions.values()) {
      clearTimeout(orphanTimer);
      pieces.abort.abort(unavailable('The agent ends'));
    }
    await Promise.allSettled([...this.sessions.values()].map(({ done }) => done));
  }

  private async send(piece: MigrationPiece, path: string, ends: PieceEnds): Promise<void> {
    if (piece.format === 'block') await this.disks.send({ directory: path, fd: ends.output, signal: ends.signal });
    else await this.rsync.send(path, piece, ends);
  }

  /**
   * What the piece before was is the likeliest thing this one is like: of files only the difference comes. Where nothing is deleted, what this one lacks would stay: it
   * begins empty.
   */
  private async receive(piece: MigrationPiece, path: string, former: string | null, ends: PieceEnds): Promise<void> {
    if (piece.format === 'block') return this.disks.receive({ directory: path, fd: ends.input, signal: ends.signal });
    if (former !== null && piece.delete) await this.copies.copy(former, path);
    await this.rsync.receive(path, piece, ends);
  }

  private receivedPath({ snapshot }: MigrationPiece, snapshots: readonly string[], scratch: string): string {
    if (snapshot === '') return `${scratch}/volume`;
    if (!snapshots.includes(snapshot)) throw notFound(`Snapshot "${snapshot}" was not announced`);
    return `${scratch}/snapshots/${snapshot}`;
  }

  private present({ pool, kind, name }: VolumeSpec): string {
    return new PoolDirectories(this.options.state.pool(pool.name)).volume(kind, name);
  }

  private async begin(endpoint: { readonly endpointUid: number; readonly endpointGid: number }, work: (session: PieceSession) => Promise<void>): Promise<string> {
    const sessionId = randomHex(8);
    const pieces = new PieceSession({ directory: `${this.options.directory}/${sessionId}`, endpointUid: endpoint.endpointUid, endpointGid: endpoint.endpointGid });
    const done = work(pieces).then(() => pieces.finish(undefined), (error: unknown) => {
      pieces.finish(error);
      throw error;
    });
    // Whoever waits hears of a failure; until then it is nobody's.
    done.catch((error: unknown) => this.options.logger.debug('Transfer failed', { session: sessionId, error: String(error) }));
    const orphanTimer = setTimeout(() => this.abandon(sessionId), this.options.orphanPatienceMs ?? orphanPatienceMs);
    this.sessions.set(sessionId, { pieces, done, orphanTimer: orphanTimer.unref() });
    return sessionId;
  }

  private abandon(sessionId: string): void {
    const session = this.sessions.get(sessionId);
    if (session === undefined) return;
    session.pieces.abort.abort(unavailable('Nobody waits for the transfer'));
    void session.done.catch(() => undefined).then(() => this.sessions.delete(sessionId));
  }

  private session(sessionId: string): Session {
    const session = this.sessions.get(sessionId);
    if (session === undefined) throw notFound('No such transfer');
    return session;
  }

  private of(pool: PoolSpec): VolumeStreams {
    const streams = this.options.drivers.get(pool.driver);
    if (streams === undefined) throw invalid(`Unknown storage driver "${pool.driver}"`);
    return streams;
  }
}

function pathOf({ snapshot }: MigrationPiece, names: readonly string[], pieces: VolumePieces): string {
  if (snapshot === '') return pieces.volume;
  const path = pieces.snapshots[names.indexOf(snapshot)];
  if (path === undefined) throw notFound(`Snapshot "${snapshot}" is not sent`);
  return path;
}
