export * from './event-bus.js';
export type { EventMode } from './event-hubs.rules.js';
export { EventMesh } from './event-mesh.js';
export type { EventHold, MeshListener } from './event-source.js';
export * from './events.module.js';
