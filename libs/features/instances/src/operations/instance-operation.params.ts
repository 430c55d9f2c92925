import type { ConfigMap, InstanceSource, InstanceType } from '#api-types';
import type { InstanceVolumeKey } from '#features/storage';
import type { ExpandedInstance } from '../data/instance.catalog.js';

/** Everything needed to make or to unmake the instance, with nothing but names: rows hold the rest. */
export interface CreateInstanceParams {
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
  /** `size` of the root disk; empty for the pool's default. */
  readonly size: string;
  /** Fingerprint of an image that is here; empty for none, or for one that must be fetched. */
  readonly fingerprint: string;
  /** Where to fetch the image from; null for one that is here. */
  readonly remote: InstanceSource | null;
  /** A step follows that starts it. */
  readonly start?: boolean;
}

/** What `ensure-image` saves. */
export interface EnsuredImage {
  readonly fingerprint: string;
}

export interface DeleteInstanceParams {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly pool: string;
}

export interface RenameInstanceParams {
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly newName: string;
  readonly type: InstanceType;
  readonly pool: string;
}

export interface UpdateInstanceParams {
  readonly project: string;
  readonly name: string;
  /** Both written by the reservation: what the rows said, and what they say now. */
  before: ExpandedInstance | null;
  after: ExpandedInstance | null;
  /** Host-derived keys the request replaced; null when it did not touch them. */
  local: Readonly<ConfigMap> | null;
}

/** The root volume an operation works on, by the name the instance has or is to have. */
export function rootVolumeKey(params: Omit<InstanceVolumeKey, 'name'> & { readonly name: string }, name = params.name): InstanceVolumeKey {
  const { project, type, pool } = params;
  return { project, name, type, pool };
}

/** Both sides of an update, once its reservation has decided them. */
export function changeOf({ before, after }: UpdateInstanceParams): { readonly before: ExpandedInstance; readonly after: ExpandedInstance } | undefined {
  return before === null || after === null ? undefined : { before, after };
}
