import type { ConfigMap, InstanceSource, InstanceType } from '#api-types';
import type { InstanceVolumeKey } from '#features/storage';

/** A stopped instance without snapshots gets a fresh root disk. */
export interface RebuildInstanceParams {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
  /** `size` of the root disk; empty for the pool's default. */
  readonly size: string;
  /** Fingerprint of an image that is here; empty for none, or for one that must be fetched. */
  readonly fingerprint: string;
  readonly remote: InstanceSource | null;
}

/** The image it is made from; an empty fingerprint for none. */
export interface RebuildImage {
  readonly fingerprint: string;
  /** Keys of the instance that tell of the image. */
  readonly config: Readonly<ConfigMap>;
}

/** What was before. */
export interface FormerRow {
  readonly config: Readonly<ConfigMap>;
  readonly local: Readonly<ConfigMap>;
}

/** Where the volume waits until the rebuild has succeeded. No instance can have such a name. */
export function asideVolume({ project, name, type, pool }: RebuildInstanceParams, token: string): InstanceVolumeKey {
  return { project, type, pool, name: `${name}~${token}` };
}
