import type { ConfigMap, InstanceType } from '#api-types';
import type { InstanceVolumeKey } from '#features/storage';
import type { NewSnapshot, SnapshotRow } from '../data/instance-snapshot.repository.js';
import type { CreateInstanceParams } from '../operations/instance-operation.params.js';

/** What is copied: an instance of this or another member, as it is or as one of its snapshots is. */
export interface CopySource {
  readonly memberId: number;
  readonly id: number;
  readonly volume: InstanceVolumeKey;
  /** Empty for the present content. */
  readonly snapshot: string;
  /** Names of those that go along, oldest first. */
  readonly snapshots: readonly string[];
  /** How ids lie in the files (`volatile.last_state.idmap`), as far as it is known here. */
  readonly idmap: string;
  /** It runs here, and must hold still while its files are copied. */
  readonly freeze: boolean;
  /** A snapshot whose state the copy is to go on from. */
  readonly stateful?: boolean;
  /** On another member: what runs is to be copied with its state. */
  readonly live?: boolean;
  /** On another member: files that change meanwhile do no harm, and nothing is held still. */
  readonly inconsistent?: boolean;
}

export interface CopyInstanceParams extends CreateInstanceParams {
  readonly source: CopySource;
}

/** What becomes of a copy that is there. */
export interface RefreshPlan {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
  /** Snapshots to bring, oldest first, as they will be. */
  readonly bring: readonly NewSnapshot[];
  /** Names of the copy's that go; where another of that name is brought, they make room for it. */
  readonly drop: readonly string[];
}

/** A copy that is there becomes what its source is now. */
export interface RefreshInstanceParams extends RefreshPlan {
  readonly source: CopySource;
}

/** What the commit of a refresh has changed. */
export interface RefreshedRows {
  readonly dropped: readonly SnapshotRow[];
  readonly formerConfig: Readonly<ConfigMap>;
  /** What is known of it here alone, before. */
  readonly formerLocal: Readonly<ConfigMap>;
}

/** Where a snapshot waits that goes with the refresh, or comes back. */
export function asideName(token: string, snapshot: string): string {
  return `.former-${token}-${snapshot}`;
}
