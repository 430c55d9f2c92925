export { MemoryLog } from './memory-log.js';
export * from './shared-databases.js';
