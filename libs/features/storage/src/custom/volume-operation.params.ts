import type { ContentType, VolumeKey } from '../data/volumes.repository.js';
import type { Config } from '../rules/pool-config.rules.js';

/** A custom volume of this member, by names that stay while an operation holds its key. */
export interface VolumeParams {
  readonly pool: string;
  readonly project: string;
  readonly name: string;
  readonly memberId: number;
  readonly contentType: ContentType;
}

/** What a client can change of a volume. */
export interface VolumeText {
  readonly description: string;
  readonly config: Config;
}

export interface CreateVolumeParams extends VolumeParams {
  readonly sizeBytes: number;
}

export interface RenameVolumeParams extends VolumeParams {
  readonly newName: string;
}

export interface UpdateVolumeParams extends VolumeParams {
  readonly wanted: VolumeText;
  readonly former: VolumeText;
  readonly sizeBytes: number;
  readonly formerSizeBytes: number;
}

export function volumeKeyOf({ pool, project, name, memberId }: Omit<VolumeParams, 'contentType'>): VolumeKey {
  return { pool, project, name, memberId, type: 'custom' };
}

/** Operations on one volume take turns by this key. */
export function volumeConflictKey({ pool, project, name, memberId }: Omit<VolumeParams, 'contentType'>): string {
  return `volume:${memberId}/${pool}/${project}/${name}`;
}
