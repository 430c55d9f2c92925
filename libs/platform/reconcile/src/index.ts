export { Reconciler } from './reconciler.js';
export { ReconcileModule } from './reconcile.module.js';
export { ReconcileRunner, type LastRun } from './reconcile-runner.js';
export { isWithin } from './minutes.js';
export { ScheduledReconciler } from './scheduled.reconciler.js';
export { ExpiryReconciler } from './expiry.reconciler.js';
