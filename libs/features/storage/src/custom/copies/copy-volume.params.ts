import type { Config } from '../../rules/pool-config.rules.js';
import { volumeConflictKey, type VolumeParams } from '../volume-operation.params.js';

/** A snapshot that goes along: what its row says. */
export interface CopiedSnapshot {
  readonly name: string;
  readonly description: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly config: Config;
}

/** A volume that is made of what another one is. */
export interface CopiedVolumeParams extends VolumeParams {
  /** Oldest first. */
  readonly snapshots: readonly CopiedSnapshot[];
  /** Quota, 0 for none; of files only. */
  readonly sizeBytes: number;
  /** The source goes with its last step. */
  readonly move: boolean;
}

/** One that is there, and is made what its source is now. */
export interface RefreshedVolumeParams extends CopiedVolumeParams {
  /** Snapshots the target lacks. */
  readonly added: readonly string[];
  /** Snapshots the source has no more. */
  readonly stale: readonly string[];
}

interface CopyOrigin {
  readonly source: VolumeParams;
  /** Snapshot of the source to copy instead of its present content; empty for that. */
  readonly sourceSnapshot: string;
}

/** The volume that is made, and where its files come from. */
export interface CopyVolumeParams extends CopiedVolumeParams, CopyOrigin {}

export interface RefreshVolumeParams extends RefreshedVolumeParams, CopyOrigin {}

/** A copy keeps others from what it makes, a move from what it takes away: the name it gives is kept by its row. */
export function copyConflictKey(params: CopyVolumeParams): string {
  return volumeConflictKey(params.move ? params.source : params);
}
