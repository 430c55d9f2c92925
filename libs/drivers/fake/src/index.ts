export * from './fake-exec.sessions.js';
export * from './fake-faults.js';
export * from './fake-host-info.driver.js';
export * from './fake-instance.driver.js';
export * from './fake-network.driver.js';
export * from './fake-storage.driver.js';
export * from './fake-volume-snapshots.js';
export * from './fake-volume-transfer.js';
