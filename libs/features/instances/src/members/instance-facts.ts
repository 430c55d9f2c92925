import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { ChangeFeed } from '#platform/database';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { hostName } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { RemoteInstances, type RemoteView } from './remote-instances.js';

/** What is not in the rows, of any instance of the cluster: from this member's memory, or from what the others say. */
@Injectable()
export class InstanceFacts implements OnModuleDestroy {
  private readonly unsubscribe: (() => void)[];

  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly states: PowerStates,
    private readonly member: MemberVolatileStore,
    private readonly remote: RemoteInstances,
    feed: ChangeFeed,
  ) {
    this.unsubscribe = [
      feed.subscribe(['instances'], (changes) => {
        for (const change of changes) if (change.op === 'delete') this.remote.forget(Number(change.key[0]));
      }),
      feed.onReset(() => this.remote.forgetAll()),
    ];
  }

  onModuleDestroy(): void {
    for (const stop of this.unsubscribe) stop();
  }

  /** Asks whoever must be asked to show these. */
  async refresh(instances: readonly ExpandedInstance[]): Promise<void> {
    const elsewhere = instances.filter((instance) => !this.catalog.isLocal(instance));
    await Promise.all([this.states.ready(), elsewhere.length === 0 ? null : this.remote.refresh(elsewhere.map(({ row }) => row.memberId))]);
  }

  of(instance: ExpandedInstance): RemoteView {
    if (!this.catalog.isLocal(instance)) return this.remote.view(instance);
    const { volatile, lastUsedAt } = this.member.get(instance.row.id);
    return { power: this.states.get(hostName(instance.row)).power, volatile, lastUsedAt };
  }
}
