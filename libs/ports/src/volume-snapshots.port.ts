import type { VolumeSpec } from './storage.port.js';

export interface CopyVolumeRequest {
  readonly source: VolumeSpec;
  /** Snapshot of the source to copy instead of its present content; empty for that. */
  readonly sourceSnapshot: string;
  /** May lie in another pool, of another driver. */
  readonly target: VolumeSpec;
  /** Snapshots of the source that the copy gets too, by the same names. */
  readonly snapshots: readonly string[];
  /** Quota in bytes of the copy, 0 for none. */
  readonly sizeBytes: number;
}

/**
 * Snapshots of volumes, and copies, on this host. Snapshots are read-only where the driver can, lie at
 * `storage-pools/<pool>/<kind>s-snapshots/<volume>/<snapshot>`, and go along when their volume is renamed or destroyed.
 *
 * As in `StorageDriver` every method is safe to repeat after a crash at any point, what has its name is whole, and `destroyX` of something absent
 * succeeds. `not-found` for a volume or snapshot that is not there, `conflict` where a name is taken.
 */
export abstract class VolumeSnapshots {
  /** Does nothing where the snapshot is there already. */
  abstract createSnapshot(volume: VolumeSpec, snapshot: string): Promise<void>;
  abstract destroySnapshot(volume: VolumeSpec, snapshot: string): Promise<void>;
  abstract renameSnapshot(volume: VolumeSpec, snapshot: string, newName: string): Promise<void>;
  abstract listSnapshots(volume: VolumeSpec): Promise<string[]>;
  /** Bytes each holds by itself, in the order asked for; -1 where nobody counts, and for one that is not there. Waits for nothing that is done with the volume. */
  abstract measureSnapshots(volume: VolumeSpec, snapshots: readonly string[]): Promise<number[]>;
  /**
   * Puts a snapshot's content in the place of the volume's, quota unchanged. The former content is kept under `token` (hex digits) until
   * `finishRestore` drops it or `undoRestore` brings it back; the snapshot itself is never touched. With `keepApart` the volume may be written before
   * that; without, it may not, and files that are alike in both are kept once.
   */
  abstract restoreSnapshot(volume: VolumeSpec, snapshot: string, token: string, keepApart: boolean): Promise<void>;
  /** Does nothing where no such restore is unsettled. */
  abstract undoRestore(volume: VolumeSpec, token: string): Promise<void>;
  abstract finishRestore(volume: VolumeSpec, token: string): Promise<void>;
  /** Does nothing where the target is there already. */
  abstract copyVolume(request: CopyVolumeRequest): Promise<void>;
  /**
   * Makes the target, which is there, what the source is: snapshots named that it lacks are added, the others stay, and its content is replaced as by
   * `restoreSnapshot`, quota unchanged, to be settled by `finishRestore` or `undoRestore`. `sizeBytes` has no meaning here.
   */
  abstract refreshVolume(request: CopyVolumeRequest, token: string): Promise<void>;
}
