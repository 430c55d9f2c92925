import type { IdmapEntry } from './instance.port.js';
import type { VolumeSpec } from './storage.port.js';
import type { TransferStarted } from './volume-transfer.port.js';

interface PackRequest {
  readonly volume: VolumeSpec;
  /** Program and arguments that compress, as `compressorOf` checks them: `gzip -9`; `none`. */
  readonly compression: string;
  /** uid and gid that may open the endpoint: those of the daemon. */
  readonly endpointUid: number;
  readonly endpointGid: number;
}

export interface PackBackupRequest extends PackRequest {
  /** Names, oldest first. */
  readonly snapshots: readonly string[];
  /** The driver's own streams instead of files; for drivers that have `ownBackups`. */
  readonly optimized: boolean;
  /** `index.yaml`, the first member of the archive. */
  readonly index: string;
}

export interface PackImageRequest extends PackRequest {
  /** Its content instead of the volume's present one; empty for that. */
  readonly snapshot: string;
  /** `metadata.yaml` of the image, and its time as seconds. */
  readonly metadata: string;
  readonly modifiedAt: number;
  /** What the ids in the files are shifted by; empty for files that have the container's own. The image always has those. */
  readonly idmap: readonly IdmapEntry[];
}

export interface BackupInspection {
  /** `index.yaml` as text, not trusted. */
  readonly index: string;
}

/** A volume, or one of its snapshots, in whose files ids are shifted. */
export interface ShiftedPiece {
  /** Empty for the volume itself. */
  readonly snapshot: string;
  readonly idmap: readonly IdmapEntry[];
}

export interface UnpackBackupRequest {
  /** Of a file in `backups/`. */
  readonly path: string;
  readonly volume: VolumeSpec;
  /** Names, oldest first. */
  readonly snapshots: readonly string[];
  readonly optimized: boolean;
  /** Quota in bytes, 0 for none. */
  readonly sizeBytes: number;
  /** What of the archive has other ids than the container's own, which it gets here; nothing where absent. Files only. */
  readonly shifted?: readonly ShiftedPiece[];
}

export interface UnshiftVolumeRequest {
  readonly volume: VolumeSpec;
  readonly snapshots: readonly string[];
  /** What ids may have been shifted to: that of an instance that has used the volume. */
  readonly idmap: readonly IdmapEntry[];
}

/** Files that describe what a volume belongs to, beside its root file system. */
export type VolumeFile = 'backup.yaml' | 'metadata.yaml';

/**
 * Volumes in archives, in LXD's formats: backups and images. What is packed comes through an endpoint as with `VolumeTransfer`, whose `waitTransfer` ends it;
 * backups to unpack are files in the daemon's `backups/`. What an archive holds is not trusted: nothing of it gets outside the volume, whatever its
 * members are called, and what the host itself opens afterwards are real files and directories.
 */
export abstract class VolumeArchives {
  /** `not-found` before anything is sent when the volume or a snapshot is not there. */
  abstract packBackup(request: PackBackupRequest): Promise<TransferStarted>;
  abstract packImage(request: PackImageRequest): Promise<TransferStarted>;
  /** `invalid` in LXD's words for what is no backup. */
  abstract inspectBackup(path: string): Promise<BackupInspection>;
  /**
   * The volume appears whole, with its snapshots, or not at all; `conflict` when one of that name is there. Aborting ends it.
   * @throws `invalid` for an archive that lacks a piece or holds what it must not.
   */
  abstract unpackBackup(request: UnpackBackupRequest, signal: AbortSignal): Promise<void>;
  /**
   * Gives the files of a volume that is there, and of its snapshots, the container's own ids. A piece whose top directory has an id that nothing is mapped to is left alone: it was
   * never shifted, or was given back already. Safe to repeat after a crash. Files only.
   */
  abstract unshiftVolume(request: UnshiftVolumeRequest): Promise<void>;
  /** Content of the volume or of one of its snapshots (empty for none); an empty text where the file is absent or no plain file. */
  abstract readVolumeFile(volume: VolumeSpec, snapshot: string, file: VolumeFile): Promise<string>;
  /** Replaces the file in one go. `not-found` without the volume. */
  abstract writeVolumeFile(volume: VolumeSpec, file: VolumeFile, content: string): Promise<void>;
}
