import type { RefreshPlan } from '../copies/copy-operation.params.js';
import type { CreateInstanceParams } from '../operations/instance-operation.params.js';

/** An instance that comes from another server. */
export interface ReceiveInstanceParams extends CreateInstanceParams {
  /** Of the conversation with the other server, which does not outlive this process. */
  readonly session: string;
  /** Without its snapshots. */
  readonly alone: boolean;
}

/** A copy that is there becomes what its source on another server is now. */
export interface ReceiveRefreshParams extends RefreshPlan {
  readonly session: string;
  /** `volatile.last_state.idmap` of what comes. */
  readonly idmap: string;
}
