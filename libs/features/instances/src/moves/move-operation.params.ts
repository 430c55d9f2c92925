import type { InstanceType } from '#api-types';
import type { InstanceVolumeKey } from '#features/storage';
import { volumeAt, type InstancePlace } from './relocation.params.js';

/** The move of an instance to the member that carries it out. */
export interface MoveInstanceParams {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  /** Pool of its root disk, on both members. */
  readonly pool: string;
  /** `nodes.id` of the member it leaves, and the epoch it had there. */
  readonly from: number;
  readonly epoch: number;
  /** Names, oldest first. */
  readonly snapshots: readonly string[];
  /** `size` of the root disk; empty for the pool's default. */
  readonly size: string;
  /** Where it will be on its new member; absent for the same project, name and pool. */
  readonly to?: InstancePlace | undefined;
}

/** What is left of an instance on a member it has left. */
export interface DiscardInstanceParams {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
}

/** What is left where it was. */
export function formerVolume({ pool, project, name, type }: DiscardInstanceParams): InstanceVolumeKey {
  return { pool, project, name, type };
}

export function newPlace({ to, project, name, pool }: MoveInstanceParams): InstancePlace {
  return to ?? { project, name, pool };
}

/** The volume where it comes. */
export function movedVolume(params: MoveInstanceParams): InstanceVolumeKey {
  return volumeAt(params.type, newPlace(params));
}

/** A member has at most one instance of a name; until the former one's volume is gone no other can come. */
export function discardKey({ pool, project, name }: DiscardInstanceParams, memberId: number): string {
  return `discard:${memberId}/${pool}/${project}/${name}`;
}
