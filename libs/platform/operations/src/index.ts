export { Step, nothingToUndo, type Outputs, type StepContext } from './step.js';
export { defineOperation, type OperationDefinition, type StepClass } from './operation-definition.js';
export { OperationRegistry } from './operation-registry.js';
export type { OperationHandle } from './operation-handle.js';
export { OperationsService, type InMemoryOptions, type RunningOperation, type ScheduleOptions } from './operations.service.js';
export { OperationsModule } from './operations.module.js';
export type { LiveOperation } from './live-operation.js';
export { ClusterOperations } from './cluster/cluster-operations.js';
export type { PeerOperation } from './cluster/operation-peers.js';
