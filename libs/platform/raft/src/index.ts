export { ReplicatedLog, type AppendResult, type LevelPayload, type LogEntry, type LogHead } from './log/replicated-log.js';
export { EtcdClient, isNoSpace, type EtcdCallOptions, type EtcdClientOptions, type EtcdCredentials } from './etcd/etcd-client.js';
export { prefixEnd, type EtcdMember, type EtcdStatus, type KeyValue, type TxnRequest, type WatchResponse } from './etcd/etcd-messages.js';
