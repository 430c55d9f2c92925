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
  abstract sendVolume(request: SendVolumeRequest): Promise<TransferStarted>;
  abstract receiveVolume(request: ReceiveVolumeRequest): Promise<TransferStarted>;
  /** Call it once the endpoint is open. Aborting ends the transfer. */
  abstract waitTransfer(sessionId: string, signal: AbortSignal): Promise<void>;
}

/** What a driver does for a transfer whose bytes come from, or go to, an open descriptor. */
export abstract class VolumeStreams {
  abstract readonly formats: readonly TransferFormat[];
  abstract send(request: SendVolumeRequest, fd: number, signal: AbortSignal): Promise<void>;
  abstract receive(request: ReceiveVolumeRequest, fd: number, signal: AbortSignal): Promise<void>;
}
