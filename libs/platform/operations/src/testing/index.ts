export { describeOperation, type OperationHarness, type OperationTestOptions } from './describe-operation.js';
export { DetachedOperations } from './detached-operations.js';
