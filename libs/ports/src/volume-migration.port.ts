import type { VolumeSpec } from './storage.port.js';
import type { ShiftedPiece } from './volume-archives.port.js';

/** How the pieces of a volume travel to and from other servers: `rsync` talks both ways; `block` is a disk from its first byte to its last, for block volumes. */
export type MigrationFormat = 'rsync' | 'block';

interface PiecesEndpoint {
  /** uid and gid that may open the pieces' pipes: those of the daemon. */
  readonly endpointUid: number;
  readonly endpointGid: number;
}

export interface SendPiecesRequest extends PiecesEndpoint {
  readonly volume: VolumeSpec;
  /** Snapshots that go along, oldest first. */
  readonly snapshots: readonly string[];
  /** This snapshot's content as the volume's; empty for the present one. */
  readonly sourceSnapshot: string;
}

export interface ReceivePiecesRequest extends PiecesEndpoint {
  readonly volume: VolumeSpec;
  /** Snapshots that come, oldest first. */
  readonly snapshots: readonly string[];
  /** Quota in bytes, 0 for none; of a disk what it is to have at least. */
  readonly sizeBytes: number;
  /** As in `ReceiveVolumeRequest`. */
  readonly refreshToken: string;
  /** What comes with other ids than the container's own, which it gets here; nothing where absent. */
  readonly shifted?: readonly ShiftedPiece[];
}

/** What is to be sent or received next: a snapshot, or with an empty name the volume itself. */
export interface MigrationPiece {
  readonly snapshot: string;
  readonly format: MigrationFormat;
  /** What both sides have agreed on. */
  readonly xattrs: boolean;
  readonly delete: boolean;
  readonly compress: boolean;
  /** Of the sender only, as rsync reads it; empty for none. */
  readonly bandwidth: string;
  /** Of the sender only: files that vanish under it do no harm. */
  readonly inconsistent: boolean;
  /** Between servers of ours: links and access lists stay what they are, and files are alike only where their contents are. */
  readonly exact?: boolean;
}

/** The pipes of a piece, for the daemon: what it writes to `input` is what the other side says, what it reads from `output` is for the other side. */
export interface PieceEndpoint {
  readonly input: string;
  readonly output: string;
}

/**
 * Volumes piece by piece, in a conversation with a server that need not be one of ours: snapshots, oldest first, then the volume, each between two pipes. A caller
 * begins a session, waits for it all the while (`waitPieces`: the session ends when that call does), opens a piece, opens the pipes, waits for the
 * piece, and says in the end that there are no more.
 *
 * A received volume appears whole, under its name, when `waitPieces` resolves; a session that fails, is aborted or dies with its agent leaves nothing. What comes
 * is not trusted: it reaches nothing but the piece it is for.
 */
export abstract class VolumeMigration {
  /** How such a volume can be sent and received here, best first; the last is one that every pool knows. */
  abstract migrationFormats(volume: VolumeSpec): Promise<MigrationFormat[]>;
  /** Returns the session's id. `not-found` when there is no such volume. */
  abstract sendPieces(request: SendPiecesRequest): Promise<string>;
  /** Returns the session's id. */
  abstract receivePieces(request: ReceivePiecesRequest): Promise<string>;
  abstract waitPieces(sessionId: string, signal: AbortSignal): Promise<void>;
  abstract openPiece(sessionId: string, piece: MigrationPiece): Promise<PieceEndpoint>;
  /** Call it once both pipes are open. Resolves when the piece is there, or was taken; the caller closes its ends of the pipes in any case. */
  abstract waitPiece(sessionId: string): Promise<void>;
  /** Everything was sent, or came. */
  abstract endPieces(sessionId: string): Promise<void>;
}
