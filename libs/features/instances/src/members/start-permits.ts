import { Injectable } from '@nestjs/common';
import { internalContext, unavailable, type RequestContext } from '#kernel';
import { Database } from '#platform/database';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';

/**
 * Whether this member may start an instance (hazards B1). A member that was paused or cut off may not know that an instance went elsewhere, so
 * every start first looks at the log. Without a quorum it cannot: then only what ran here when one was last seen is started, and the rest on demand.
 */
@Injectable()
export class StartPermits {
  constructor(
    private readonly database: Database,
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
  ) {}

  /** @throws `unavailable` when it may not be started here now. */
  async assertStartable(ctx: RequestContext, { row }: ExpandedInstance, force: boolean): Promise<void> {
    if ((await this.database.barrier(ctx)) === 'fresh') {
      this.member.setRanWithoutQuorum(row.id, false);
      const now = this.catalog.findById(row.id);
      if (now === undefined || !this.catalog.isLocal(now)) throw unavailable(`Instance "${row.name}" is not on this cluster member any more`);
      return;
    }
    const { volatile, ranWithoutQuorum } = this.member.get(row.id);
    if (force || ranWithoutQuorum === true || volatile['volatile.last_state.power'] === 'RUNNING') return;
    throw unavailable(`Without a quorum only instances that ran here when there was one are started; "${row.name}" did not (use force if it runs nowhere else)`);
  }

  /** It was stopped as asked; whether there was a quorum decides who may start it again. Does not wait. */
  noteStop({ row }: ExpandedInstance): void {
    this.database.barrier(internalContext()).then(
      (freshness) => { if (freshness === 'stale') this.member.setRanWithoutQuorum(row.id, true); },
      () => {},
    );
  }
}
