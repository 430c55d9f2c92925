export * from './fake-peers.js';
export * from './storage-driver.contract.js';
export * from './volume-snapshots.contract.js';
export * from './volume-transfer.contract.js';
