import type { InstanceType } from '#api-types';
import type { InstanceVolumeKey } from '#features/storage';

/** Where an instance is, within its member. */
export interface InstancePlace {
  readonly project: string;
  readonly name: string;
  /** Pool of its root disk. */
  readonly pool: string;
}

/** To another pool, project or name on the member it is on. */
export interface RelocateInstanceParams extends InstancePlace {
  readonly id: number;
  readonly type: InstanceType;
  readonly to: InstancePlace;
  /** Those that go along, oldest first. */
  readonly snapshots: readonly string[];
  /** `size` of the root disk; empty for the pool's default. */
  readonly size: string;
}

export function volumeAt(type: InstanceType, { project, name, pool }: InstancePlace): InstanceVolumeKey {
  return { type, project, name, pool };
}

export function isSamePlace(a: InstancePlace, b: InstancePlace): boolean {
  return a.project === b.project && a.name === b.name && a.pool === b.pool;
}
