export { SilentGate } from './silent-gate.js';
export { TlsMember, type ClusterPair } from './tls-member.js';
