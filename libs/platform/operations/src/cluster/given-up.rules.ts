import { operationStatusCodes } from '#api-types';
import type { PeerOperation } from './operation-peers.js';

/** The operation as failed, because the member that ran it is gone. */
export function givenUp(last: PeerOperation, now: Date): PeerOperation {
  const { operation } = last;
  return {
    ...last,
    operation: {
      ...operation, status: 'Failure', status_code: operationStatusCodes.Failure, may_cancel: false, updated_at: now.toISOString(),
      err: `Lost connection to cluster member "${operation.location}" that ran the operation`,
    },
  };
}
