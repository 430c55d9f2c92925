export { NetworksModule } from './networks.module.js';
export { NetworksService } from './networks.service.js';
export { NetworkUsage, type NetworkNic, type NetworkRef, type NetworkUser } from './network-usage.registry.js';
export { NetworksReconciler } from './reconcile/networks.reconciler.js';
export { nicUses } from './rules/network-config.rules.js';
export { stableAddress } from './rules/lease-list.rules.js';
export type { NetworkRow } from './data/networks.repository.js';
