export { ReplicatedLog, type AppendResult, type LevelPayload, type LogEntry, type LogHead } from './log/replicated-log.js';
export { EtcdClient, isNoSpace, type EtcdCallOptions, type EtcdClientOptions, type EtcdCredentials } from './etcd/etcd-client.js';
export { prefixEnd, type EtcdMember, type EtcdStatus, type KeyValue, type TxnRequest, type WatchResponse } from './etcd/etcd-messages.js';
export { EtcdPki, type EtcdCertificateFiles } from './pki/etcd-pki.js';
export type { KeyPair } from './pki/certificate-authority.js';
export { EtcdLauncher, type EtcdLaunch, type RunningEtcd } from './process/etcd-launcher.js';
export type { EtcdExit } from './process/etcd-exit.rules.js';
export { hostPort, memberOfVoter, parseEtcdVersion, splitHostPort, voterName } from './process/etcd-arguments.rules.js';
