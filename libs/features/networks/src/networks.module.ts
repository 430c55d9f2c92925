import { Module, type OnModuleInit } from '@nestjs/common';
import { LocalMember } from '#kernel';
import { ChangeFeed } from '#platform/database';
import { ReconcileRunner } from '#platform/reconcile';
import { ClusterModule } from '#features/cluster';
import { ProjectsModule } from '#features/projects';
import { NetworkAclsController } from './api/network-acls.controller.js';
import { NetworkForwardsController } from './api/network-forwards.controller.js';
import { NetworkPartsController } from './api/network-parts.controller.js';
import { NetworkZonesController } from './api/network-zones.controller.js';
import { NetworksController } from './api/networks.controller.js';
import { ClusterNetworks } from './cluster-networks.service.js';
import { NetworkAclsRepository } from './data/network-acls.repository.js';
import { NetworkForwardsRepository } from './data/network-forwards.repository.js';
import { NetworksRepository } from './data/networks.repository.js';
import { MemberNetworks } from './member-networks.service.js';
import { NetworkAcls } from './network-acls.service.js';
import { NetworkForwards } from './network-forwards.service.js';
import { NetworkJoin } from './network-join.participant.js';
import { NetworkParts } from './network-parts.service.js';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkSpecs } from './network-specs.service.js';
import { NetworkUsage } from './network-usage.registry.js';
import { NetworkUsers } from './network-users.service.js';
import { NetworkViews } from './network-views.service.js';
import { NetworksService } from './networks.service.js';
import { NetworksReconciler } from './reconcile/networks.reconciler.js';

/** The daemon calls `NetworksService.ensureAll()` when the agent answers, and runs `NetworksReconciler` from then on. */
@Module({
  imports: [ProjectsModule, ClusterModule],
  controllers: [NetworksController, NetworkForwardsController, NetworkPartsController, NetworkAclsController, NetworkZonesController],
  providers: [
    NetworksRepository, NetworkForwardsRepository, NetworkAclsRepository, NetworkSpecs, NetworkForwards, NetworkAcls, NetworkProjects, NetworkUsage, NetworkUsers, MemberNetworks, ClusterNetworks, NetworksService, NetworkViews, NetworkParts, NetworksReconciler, NetworkJoin,
  ],
  exports: [NetworksService, NetworkUsage, NetworksReconciler],
})
export class NetworksModule implements OnModuleInit {
  constructor(private readonly feed: ChangeFeed, private readonly runner: ReconcileRunner, private readonly member: LocalMember) {}

  /** Rows that other members write are followed at once. */
  onModuleInit(): void {
    const wake = (): void => void this.runner.signal('networks');
    this.feed.subscribe(['networks', 'networks_nodes', 'networks_forwards', 'networks_acls'], () => {
      if (this.member.clustered) wake();
    });
    this.feed.onReset(wake);
  }
}
