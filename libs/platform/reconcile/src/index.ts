export { Reconciler } from './reconciler.js';
export { ReconcileRunner, type LastRun } from './reconcile-runner.js';
