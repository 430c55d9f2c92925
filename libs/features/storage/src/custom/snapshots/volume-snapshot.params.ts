import type { Config } from '../../rules/pool-config.rules.js';
import type { VolumeParams } from '../volume-operation.params.js';

/** A snapshot of a custom volume of this member, by names that stay while the operation holds the volume's key. */
export interface VolumeSnapshotParams extends VolumeParams {
  readonly snapshot: string;
}

export interface CreateVolumeSnapshotParams extends VolumeSnapshotParams {
  readonly description: string;
  /** The volume's, as it is then. */
  readonly config: Config;
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

export interface RenameVolumeSnapshotParams extends VolumeSnapshotParams {
  readonly newName: string;
}

export interface RestoreVolumeParams extends VolumeSnapshotParams {
  /** A disk is as large as the volume says, whatever it was when the snapshot was taken; 0 for files. */
  readonly diskBytes: number;
}

/** The token of an operation's restore: its id's hex digits. */
export function restoreToken(operationId: string): string {
  return operationId.replaceAll('-', '');
}
