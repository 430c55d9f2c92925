import type { InstanceVolumeKey } from '#features/storage';
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
}

export interface CopyInstanceParams extends CreateInstanceParams {
  readonly source: CopySource;
}
