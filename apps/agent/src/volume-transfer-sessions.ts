import { chmodSync, chownSync, closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { makeFifo } from '#host';
import { invalid, notFound, randomHex, unavailable, type Logger } from '#kernel';
import { VolumeTransfer, type PoolSpec, type ReceiveVolumeRequest, type SendVolumeRequest, type SnapshotIdentity, type TransferFormat, type TransferStarted, type VolumeSpec, type VolumeStreams } from '#ports';

/** A session that nobody waits for this long has lost its daemon. */
const orphanPatienceMs = 10_000;

/** Who may open an endpoint. */
interface Endpoint {
  readonly endpointUid: number;
  readonly endpointGid: number;
}

interface Session {
  readonly directory: string;
  /** Both ends of the FIFO, held until the daemon has opened its own: else the program would see a broken pipe, or an end, at once. */
  keeper: number | undefined;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  orphanTimer: NodeJS.Timeout;
}

export interface TransferSessionsOptions {
  readonly directory: string;
  /** By the pool's driver. */
  readonly drivers: ReadonlyMap<string, VolumeStreams>;
  readonly logger: Logger;
  readonly orphanPatienceMs?: number;
}

/**
 * Transfers of volumes: each has a FIFO between the daemon and the program that reads or writes the volume. Sessions end with the agent; what a receiver has
 * left then goes when its pool is made ready next.
 */
export class VolumeTransferSessions extends VolumeTransfer {
  private readonly sessions = new Map<string, Session>();

  constructor(private readonly options: TransferSessionsOptions) {
    super();
    rmSync(options.directory, { recursive: true, force: true });
    mkdirSync(options.directory, { recursive: true, mode: 0o711 });
    chmodSync(options.directory, 0o711);
  }

  override async transferFormats(pool: PoolSpec): Promise<TransferFormat[]> {
    return [...this.of(pool).formats];
  }

  override identifySnapshots(volume: VolumeSpec): Promise<SnapshotIdentity[]> {
    return this.of(volume.pool).identify(volume);
  }

  override async sendVolume(request: SendVolumeRequest): Promise<TransferStarted> {
    const streams = this.of(request.volume.pool);
    this.requireFormat(request, streams);
    return this.start(request, constants.O_WRONLY, (fd, signal) => streams.send(request, fd, signal));
  }

  /** A session of somebody else's work that writes to the endpoint. */
  startSending(endpoint: Endpoint, work: (fd: number, signal: AbortSignal) => Promise<void>): TransferStarted {
    return this.start(endpoint, constants.O_WRONLY, work);
  }

  override async receiveVolume(request: ReceiveVolumeRequest): Promise<TransferStarted> {
    const streams = this.of(request.volume.pool);
    this.requireFormat(request, streams);
    return this.start(request, constants.O_RDONLY, (fd, signal) => streams.receive(request, fd, signal));
  }

  override async waitTransfer(sessionId: string, signal: AbortSignal): Promise<void> {
    const session = this.sessions.get(sessionId);
    if (session === undefined) throw notFound('No such transfer');
    clearTimeout(session.orphanTimer);
    this.letGo(session);
    const abort = (): void => session.abort.abort(unavailable('The transfer was given up'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      await session.done;
    } finally {
      signal.removeEventListener('abort', abort);
      this.sessions.delete(sessionId);
      rmSync(session.directory, { recursive: true, force: true });
    }
  }

  /** Ends what is under way: without this agent nobody would give received pieces their names. */
  async close(): Promise<void> {
    for (const session of this.sessions.values()) {
      clearTimeout(session.orphanTimer);
      this.letGo(session);
      session.abort.abort(unavailable('The agent ends'));
    }
    await Promise.allSettled([...this.sessions.values()].map(({ done }) => done));
  }

  private requireFormat({ format }: SendVolumeRequest | ReceiveVolumeRequest, { formats }: VolumeStreams): void {
    if (!formats.includes(format)) throw invalid(`Unknown transfer format "${format}"`);
  }

  private start(endpoint: Endpoint, mode: number, work: (fd: number, signal: AbortSignal) => Promise<void>): TransferStarted {
    const sessionId = randomHex(8);
    const directory = `${this.options.directory}/${sessionId}`;
    const path = `${directory}/bytes`;
    mkdirSync(directory, { mode: 0o711 });
    makeFifo(path, 0o600);
    chownSync(path, endpoint.endpointUid, endpoint.endpointGid);
    const keeper = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const fd = openSync(path, mode);
    const abort = new AbortController();
    const done = work(fd, abort.signal).finally(() => closeSync(fd));
    // Whoever waits hears of a failure; until then it is nobody's.
    done.catch((error: unknown) => this.options.logger.debug('Transfer failed', { session: sessionId, error: String(error) }));
    const orphanTimer = setTimeout(() => this.abandon(sessionId), this.options.orphanPatienceMs ?? orphanPatienceMs);
    this.sessions.set(sessionId, { directory, keeper, abort, done, orphanTimer: orphanTimer.unref() });
    return { sessionId, path };
  }

  private abandon(sessionId: string): void {
    const session = this.sessions.get(sessionId);
    if (session === undefined) return;
    session.abort.abort(unavailable('Nobody waits for the transfer'));
    this.letGo(session);
    void session.done.catch(() => undefined).then(() => {
      this.sessions.delete(sessionId);
      rmSync(session.directory, { recursive: true, force: true });
    });
  }

  private letGo(session: Session): void {
    if (session.keeper === undefined) return;
    closeSync(session.keeper);
    session.keeper = undefined;
  }

  private of(pool: PoolSpec): VolumeStreams {
    const streams = this.options.drivers.get(pool.driver);
    if (streams === undefined) throw invalid(`Unknown storage driver "${pool.driver}"`);
    return streams;
  }
}
