import { chownSync, closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { makeFifo } from '#host';
import { conflict, unavailable } from '#kernel';
import type { MigrationPiece, PieceEndpoint } from '#ports';

/** Our ends of a piece's pipes. */
export interface PieceEnds {
  readonly input: number;
  readonly output: number;
  readonly signal: AbortSignal;
}

interface OpenPiece extends PieceEnds {
  readonly piece: MigrationPiece;
  readonly directory: string;
  /** Both ends of both pipes, held until the daemon has opened its own: else a program would see a broken pipe, or an end, at once. */
  keepers: number[];
  /** The daemon has its ends: what ends before that would take the pipes away. */
  taken: boolean;
  readonly done: PromiseWithResolvers<void>;
}

export interface PieceSessionOptions {
  /** Made here, removed in the end. */
  readonly directory: string;
  readonly endpointUid: number;
  readonly endpointGid: number;
}

/** The pieces of one volume, one after another, as the daemon asks for them. */
export class PieceSession {
  readonly abort = new AbortController();
  private current: OpenPiece | undefined;
  /** Of the piece that was opened last: it may have failed before anybody waits for it. */
  private latest: OpenPiece | undefined;
  private ended = false;
  private failure: unknown;
  private pieces = 0;
  private wake: () => void = () => {};

  constructor(private readonly options: PieceSessionOptions) {
    mkdirSync(options.directory, { mode: 0o711 });
    this.abort.signal.addEventListener('abort', () => this.wake(), { once: true });
  }

  /** Carries out pieces, each once its pipes are open at the other end, until there are no more. */
  async serve(work: (piece: MigrationPiece, ends: PieceEnds) => Promise<void>): Promise<void> {
    for (;;) {
      const next = await this.next();
      if (next === undefined) return;
      try {
        await work(next.piece, next);
        next.done.resolve();
      } catch (error) {
        next.done.reject(error);
        throw error;
      } finally {
        this.close(next);
      }
    }
  }

  /** @throws `conflict` while another piece is under way, and what the session failed with. */
  open(piece: MigrationPiece): PieceEndpoint {
    this.refuseEnded();
    if (this.current !== undefined) throw conflict('Another piece is under way');
    const directory = `${this.options.directory}/${this.pieces++}`;
    mkdirSync(directory, { mode: 0o711 });
    const [input, output] = [`${directory}/input`, `${directory}/output`];
    const keepers = [input, output].map((path) => {
      makeFifo(path, 0o600);
      chownSync(path, this.options.endpointUid, this.options.endpointGid);
      return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    });
    const done = Promise.withResolvers<void>();
    done.promise.catch(() => undefined);
    this.current = this.latest = { piece, directory, keepers, taken: false, done, input: openSync(input, constants.O_RDONLY), output: openSync(output, constants.O_WRONLY), signal: this.abort.signal };
    return { input, output };
  }

  async wait(): Promise<void> {
    const piece = this.latest;
    if (piece === undefined) return this.refuseEnded();
    this.letGo(piece);
    piece.taken = true;
    this.wake();
    await piece.done.promise;
  }

  end(): void {
    this.refuseEnded();
    this.ended = true;
    this.wake();
  }

  /** The session's work is over, for this reason. */
  finish(failure: unknown): void {
    this.failure = failure;
    this.ended = true;
    if (this.current !== undefined) {
      this.current.done.reject(failure);
      this.close(this.current);
    }
    rmSync(this.options.directory, { recursive: true, force: true });
  }

  private refuseEnded(): void {
    if (this.failure !== undefined) throw this.failure as Error;
    if (this.ended) throw conflict('There are no more pieces');
  }

  private async next(): Promise<OpenPiece | undefined> {
    for (;;) {
      if (this.abort.signal.aborted) throw unavailable('The transfer was given up');
      if (this.current?.taken === true) return this.current;
      if (this.ended) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wake = resolve;
      await promise;
    }
  }

  private letGo(piece: OpenPiece): void {
    for (const fd of piece.keepers.splice(0)) closeSync(fd);
  }

  private close(piece: OpenPiece): void {
    if (this.current !== piece) return;
    this.current = undefined;
    this.letGo(piece);
    closeSync(piece.input);
    closeSync(piece.output);
    rmSync(piece.directory, { recursive: true, force: true });
  }
}
