import type { PoolSpec, VolumeSpec } from './storage.port.js';

/** How a volume travels: `btrfs` between two btrfs pools, shared blocks once; `tar` between any two. */
export type TransferFormat = 'btrfs' | 'tar';

interface TransferRequest {
  readonly volume: VolumeSpec;
  /** Snapshots that go along, oldest first. */
  readonly snapshots: readonly string[];
  /** One both ends know. */
  readonly format: TransferFormat;
  /** uid and gid that may open the endpoint: those of the daemon. */
  readonly endpointUid: number;
  readonly endpointGid: number;
}

export interface SendVolumeRequest extends TransferRequest {
  /** Send this snapshot's content as the volume's; empty for the present one. */
  readonly sourceSnapshot: string;
  /**
   * What the receiver has as it is here: by the name of a piece, empty for the volume, the snapshot it is sent as the difference to. A piece that is not
   * named is sent as the difference to the one before it. Of format `btrfs`.
   */
  readonly parents?: Readonly<Record<string, string>>;
}

export interface ReceiveVolumeRequest extends TransferRequest {
  /** Quota in bytes, 0 for none. */
  readonly sizeBytes: number;
  /**
   * Absent or empty for a volume that is new. Otherwise the volume is there, and what comes refreshes it as `VolumeSnapshots.refreshVolume` does, under this token;
   * snapshots that come are such as it lacks.
   */
  readonly refreshToken?: string;
}

/** A snapshot that holds what another pool's may hold, too. */
export interface SnapshotIdentity {
  readonly snapshot: string;
  /** Names of its content, the same in every pool it was sent to; the last is the one it is sent under. Example: ["3c0f...", "a91b..."] */
  readonly ids: readonly string[];
}

/** The endpoint is a FIFO, or a unix socket, for the bytes of one volume. It disappears with `waitTransfer`. */
export interface TransferStarted {
  readonly sessionId: string;
  readonly path: string;
}

/**
 * Volumes as streams of bytes, for moves and copies between hosts. A caller starts a session, opens its endpoint, and waits; a session nobody waits for
 * within ten seconds is ended. Bytes do not pass the agent.
 *
 * A received volume, with its snapshots, appears whole, under its name, when `waitTransfer` resolves; a transfer that fails, is aborted or dies with
 * its agent leaves nothing. `conflict` when a volume of that name is there, unless it is to be refreshed.
 */
export abstract class VolumeTransfer {
  /** What a pool's driver can send and receive, best first. */
  abstract transferFormats(pool: PoolSpec): Promise<TransferFormat[]>;
  /** Snapshots of a volume that others can be sent as the difference to; none where the driver does not tell contents apart. */
  abstract identifySnapshots(volume: VolumeSpec): Promise<SnapshotIdentity[]>;
  abstract sendVolume(request: SendVolumeRequest): Promise<TransferStarted>;
  abstract receiveVolume(request: ReceiveVolumeRequest): Promise<TransferStarted>;
  /** Call it once the endpoint is open. Aborting ends the transfer. */
  abstract waitTransfer(sessionId: string, signal: AbortSignal): Promise<void>;
}

export interface PiecesRequest {
  readonly volume: VolumeSpec;
  /** Names, oldest first. */
  readonly snapshots: readonly string[];
  /** This snapshot's content as the volume's; empty for the present one. */
  readonly sourceSnapshot: string;
}

/** Real paths of what a volume consists of. */
export interface VolumePieces {
  readonly volume: string;
  /** In the order asked for. */
  readonly snapshots: readonly string[];
}

export interface BuildVolumeRequest {
  readonly volume: VolumeSpec;
  readonly snapshots: readonly string[];
  /** Quota in bytes, 0 for none. */
  readonly sizeBytes: number;
  /** As in `ReceiveVolumeRequest`. */
  readonly refreshToken?: string;
}

/** What a driver does for transfers and archives: bytes come from, or go to, open descriptors. */
export abstract class VolumeStreams {
  abstract readonly formats: readonly TransferFormat[];
  /** A driver's own streams, one for each piece; null for one that has none. */
  abstract readonly native: NativeStreams | null;
  abstract identify(volume: VolumeSpec): Promise<SnapshotIdentity[]>;
  abstract send(request: SendVolumeRequest, fd: number, signal: AbortSignal): Promise<void>;
  abstract receive(request: ReceiveVolumeRequest, fd: number, signal: AbortSignal): Promise<void>;
  /** Calls `use` with a volume's pieces, and a directory of its own on their file system, as they are at one moment where the driver can. */
  abstract withPieces(request: PiecesRequest, use: (pieces: VolumePieces, scratch: string) => Promise<void>): Promise<void>;
  /** Has a piece that may be read-only, as snapshots are, written to by `work`. */
  abstract edit(path: string, work: () => Promise<void>): Promise<void>;
  /** Makes a volume of what `fill` puts into empty directories, `volume` and `snapshots/NAME` below `scratch`. `conflict` when it is there. */
  abstract build(request: BuildVolumeRequest, fill: (scratch: string) => Promise<void>): Promise<void>;
}

/** What happens to a piece that has come. */
export interface PieceArrival {
  /** Refuses it. */
  readonly check: (path: string) => Promise<void>;
  /** Changes it, by its snapshot's name, null for the volume; it may be written to meanwhile. */
  readonly rewrites: ReadonlyMap<string | null, (path: string) => Promise<void>>;
}

export abstract class NativeStreams {
  /** A piece that `withPieces` has given, as the difference to its parent where one is named. */
  abstract sendPiece(piece: { readonly path: string; readonly parent: string | null }, fd: number, signal: AbortSignal): Promise<void>;
  /** What the driver keeps a piece apart by. */
  abstract identify(path: string): Promise<string>;
  /** As `build`, from streams: `feed` writes each piece's, snapshots first, to a descriptor and leaves it open. Streams are not trusted. */
  abstract build(request: BuildVolumeRequest, feed: (snapshot: string | null, fd: number) => Promise<void>, arrival: PieceArrival, signal: AbortSignal): Promise<void>;
}
