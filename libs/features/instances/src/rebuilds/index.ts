import { InstanceRebuildController } from './instance-rebuild.controller.js';
import { rebuildInstance } from './rebuild-instance.operation.js';
import { RebuildRequests } from './rebuild-requests.service.js';

/** What the module of instances takes up for rebuilding them. */
export const rebuildControllers = [InstanceRebuildController];
export const rebuildProviders = [RebuildRequests];
export const rebuildOperations = [rebuildInstance] as const;
