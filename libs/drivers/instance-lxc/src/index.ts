export { policyForPlainDaemon, policyForRootDaemon, readHostPolicy, type HostPolicy } from './host-policy.js';
export { LxcHost, type LxcHostOptions } from './lxc-host.js';
export { LxcPaths } from './lxc-paths.js';
