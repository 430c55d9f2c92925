export { InstancesModule } from './instances.module.js';
export { InstancesLifecycle } from './instances-lifecycle.service.js';
export { InstancesReconciler } from './reconcile/instances.reconciler.js';
export { InstanceMoves, type MoveWatch } from './instance-moves.js';
