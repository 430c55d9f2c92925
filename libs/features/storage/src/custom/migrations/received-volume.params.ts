import type { CopiedVolumeParams, RefreshedVolumeParams } from '../copies/copy-volume.params.js';

/** A volume that comes from another server. */
export interface ReceivedVolumeParams extends CopiedVolumeParams {
  /** Of the conversation with the other server, which does not outlive this process. */
  readonly session: string;
}

/** A volume that is there becomes what its source on another server is now. */
export interface ReceivedRefreshParams extends RefreshedVolumeParams {
  readonly session: string;
}
