import type { ConfigMap, InstanceType } from '#api-types';
import type { InstanceVolumeKey } from '#features/storage';
import type { ExpandedInstance } from '../data/instance.catalog.js';

/** A snapshot of one instance, by names that stay while the operation holds the instance's key. */
export interface SnapshotParams {
  /** The instance's. */
  readonly id: number;
  readonly project: string;
  /** The instance's. */
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
  readonly snapshot: string;
}

export interface CreateSnapshotParams extends SnapshotParams {
  /** The instance runs, and must hold still while its files are copied. */
  readonly freeze: boolean;
  /** With what runs in it. */
  readonly stateful?: boolean;
}

export interface RenameSnapshotParams extends SnapshotParams {
  readonly newName: string;
}

export interface RestoreSnapshotParams extends SnapshotParams {
  /** It ran when the restore was asked for, and is to run again. */
  readonly running: boolean;
  /** Go on from what ran when the snapshot was taken. */
  readonly stateful?: boolean;
}

/** What writing the restored row has done; saved with it. */
export interface RestoredRow {
  readonly before: ExpandedInstance;
  readonly after: ExpandedInstance;
  /** Host-derived keys before and after. */
  readonly formerLocal: Readonly<ConfigMap>;
  readonly local: Readonly<ConfigMap>;
}

export function volumeKeyOf({ project, name, type, pool }: SnapshotParams): InstanceVolumeKey {
  return { project, name, type, pool };
}

/** The token of an operation's restore: its id's hex digits. */
export function restoreToken(operationId: string): string {
  return operationId.replaceAll('-', '');
}
