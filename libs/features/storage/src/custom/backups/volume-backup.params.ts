import type { ShiftedPiece } from '#ports';
import type { CopiedSnapshot } from '../copies/copy-volume.params.js';
import type { VolumeParams } from '../volume-operation.params.js';

/** A backup of one volume, by what stays whatever becomes of the volume's name meanwhile. */
export interface CreateVolumeBackupParams {
  /** The volume's. */
  readonly volumeId: number;
  readonly backup: string;
  /** The row's; 0 until its reservation has written it. */
  backupId: number;
  readonly volumeOnly: boolean;
  readonly optimized: boolean;
  /** As `compressorOf` takes it. */
  readonly compression: string;
}

/** A volume that is made from an archive in the daemon's `backups/`. */
export interface ImportVolumeParams extends VolumeParams {
  readonly archive: string;
  /** Oldest first. */
  readonly snapshots: readonly CopiedSnapshot[];
  readonly optimized: boolean;
  /** What of it has ids in its files that were shifted. */
  readonly shifted: readonly ShiftedPiece[];
  /** Quota of files, 0 for none; least size of a disk. */
  readonly sizeBytes: number;
}
