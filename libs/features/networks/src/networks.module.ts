import { Module } from '@nestjs/common';
import { ProjectsModule } from '#features/projects';
import { NetworkAclsController } from './api/network-acls.controller.js';
import { NetworkPartsController } from './api/network-parts.controller.js';
import { NetworkZonesController } from './api/network-zones.controller.js';
import { NetworksController } from './api/networks.controller.js';
import { NetworksRepository } from './data/networks.repository.js';
import { NetworkParts } from './network-parts.service.js';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkUsage } from './network-usage.registry.js';
import { NetworkUsers } from './network-users.service.js';
import { NetworkViews } from './network-views.service.js';
import { NetworksService } from './networks.service.js';
import { NetworksReconciler } from './reconcile/networks.reconciler.js';

/** The daemon calls `NetworksService.ensureAll()` when the agent answers, and runs `NetworksReconciler` from then on. */
@Module({
  imports: [ProjectsModule],
  controllers: [NetworksController, NetworkPartsController, NetworkAclsController, NetworkZonesController],
  providers: [NetworksRepository, NetworkProjects, NetworkUsage, NetworkUsers, NetworksService, NetworkViews, NetworkParts, NetworksReconciler],
  exports: [NetworksService, NetworkUsage, NetworksReconciler],
})
export class NetworksModule {}
