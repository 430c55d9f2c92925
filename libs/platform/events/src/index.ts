export * from './event-bus.js';
export { EventMesh, type EventHold, type MeshListener } from './event-mesh.js';
export * from './events.module.js';
