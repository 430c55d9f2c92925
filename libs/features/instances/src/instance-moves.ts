import type { RequestContext } from '#kernel';
import type { ExpandedInstance } from './data/instance.catalog.js';
import type { InstancePlace } from './moves/relocation.params.js';

export interface MoveWatch {
  /** Where it shall be there; absent for the same project, name and pool. */
  readonly to?: InstancePlace;
  /** Without its snapshots. */
  readonly alone?: boolean;
  readonly signal?: AbortSignal;
  /** Merged into the metadata of whatever operation asked for the move. */
  progress?(metadata: Record<string, unknown>): void;
}

/**
 * Moves an instance, snapshots included, from this member to another one. Evacuation, restoring and `POST ...?target=` use it.
 *
 * Called on the member that has the instance, while it does not run. Resolves once the row names the target and nothing is left here; rejects
 * with the instance whole and still here. After a crash of any member in between it is one or the other once the operation behind it has been
 * taken up again, so callers look at the row before they ask again.
 */
export abstract class InstanceMoves {
  /** `targetMember`: `nodes.id`. */
  abstract move(ctx: RequestContext, instance: ExpandedInstance, targetMember: number, watch?: MoveWatch): Promise<void>;
}
