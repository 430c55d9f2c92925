export * from './host-info.port.js';
export * from './instance.port.js';
export * from './local-peers.js';
export * from './member-liveness.port.js';
export * from './network.port.js';
export * from './peers.port.js';
export * from './storage.port.js';
export * from './volume-snapshots.port.js';
