export { openGate, openReader, openTerminal, openWriter } from './byte-endpoints.js';
export { RemoteHostInfo } from './remote-host-info.driver.js';
export { RemoteInstanceFiles } from './remote-instance-files.js';
export { RemoteExecSessions, RemoteInstanceDriver, RemoteInstanceLogs } from './remote-instance.driver.js';
export { RemoteNetworkDriver } from './remote-network.driver.js';
export { RemoteImageStore, RemoteStorageDriver } from './remote-storage.driver.js';
export { RemoteVolumeArchives } from './remote-volume-archives.js';
export { RemoteVolumeSnapshots } from './remote-volume-snapshots.js';
export { RemoteVolumeTransfer } from './remote-volume-transfer.js';
