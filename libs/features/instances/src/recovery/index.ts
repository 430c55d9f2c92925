import { RecoveryController } from '../api/recovery.controller.js';
import { recoverInstance } from './recover-instance.operation.js';
import { Recovery } from './recovery.service.js';

/** What the module of instances takes up for recovering lost ones. */
export const recoveryControllers = [RecoveryController];
export const recoveryProviders = [Recovery];
export const recoveryOperations = [recoverInstance] as const;
