import type { ShiftedPiece } from '#ports';
import type { CopiedVolumeParams, RefreshedVolumeParams } from '../copies/copy-volume.params.js';

/** What comes in a conversation with another server, which does not outlive this process. */
interface Arriving {
  readonly session: string;
  /** What of it has ids in its files that were shifted. */
  readonly shifted: readonly ShiftedPiece[];
}

/** A volume that comes from another server. */
export interface ReceivedVolumeParams extends CopiedVolumeParams, Arriving {}

/** A volume that is there becomes what its source on another server is now. */
export interface ReceivedRefreshParams extends RefreshedVolumeParams, Arriving {}
