export * from './server.module.js';
export { ServerConfig, type ConfigApplier, type ConfigCheck } from './server-config.service.js';
export { DaemonControl } from './daemon-control.js';
export { reachableAddresses } from './listen-addresses.js';
