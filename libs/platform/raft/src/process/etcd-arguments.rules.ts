import type { EtcdCertificateFiles } from '../pki/etcd-pki.js';

/** One voter's etcd, complete: what is the same at every start of it. */
export interface EtcdNode {
  /** Name inside etcd; `voterName` of whose it is. */
  readonly name: string;
  /** Cluster token: voters of two histories never talk to each other. */
  readonly incarnation: string;
  readonly dataDirectory: string;
  /** IP address the ports are bound to. etcd refuses names here. */
  readonly listenAddress: string;
  /** What other members dial: the same address, or the name the administrator gave. */
  readonly advertisedHost: string;
  readonly peerPort: number;
  readonly clientPort: number;
  /** `new` for the first voter of a history, `existing` for one that joins; counts at the first start only. */
  readonly initialState: 'new' | 'existing';
  /** Peer URLs by name, this voter's included. */
  readonly initialCluster: Readonly<Record<string, string>>;
  readonly files: EtcdCertificateFiles;
  /** Where etcd stops taking writes, bytes (hazards C2). */
  readonly quotaBytes?: number;
}

/** Oldest that may vote: earlier ones of the same series lose data in known ways (hazards C6). */
const oldest: Readonly<Record<string, number>> = { '3.4': 22, '3.5': 5, '3.6': 0 };

/** The log is trimmed at 1 GiB; the rest is room for pages not given back yet. */
const defaultQuotaBytes = 2 * 1024 ** 3;

/**
 * One request is one transaction of ours, and one message between voters: what removes a member with a thousand instances and their snapshots fits packed, and
 * is sent over a gigabit link in well less than an election takes.
 */
export const maxRequestBytes = 32 * 1024 * 1024;

/** `3.4.23` out of the answer of `etcd --version`; null when it is none. */
export function parseEtcdVersion(output: string): string | null {
  return /etcd Version: v?(\d+\.\d+\.\d+)/i.exec(output)?.[1] ?? null;
}

/** Why this version may not vote, or null. */
export function refusalOfVersion(version: string): string | null {
  const [major, minor, patch] = version.split('.').map(Number);
  const atLeast = oldest[`${major}.${minor}`];
  if (atLeast === undefined) return `etcd ${version} is not supported: 3.4, 3.5 or 3.6 is needed`;
  return patch! < atLeast ? `etcd ${version} is too old: ${major}.${minor}.${atLeast} or later is needed` : null;
}

/** Whether a voter of version `candidate` may join voters of version `cluster`: never one of an older series (hazards C6). */
export function mayVoteBeside(candidate: string, cluster: string): boolean {
  const [, candidateMinor] = candidate.split('.').map(Number);
  const [, clusterMinor] = cluster.split('.').map(Number);
  return candidateMinor! >= clusterMinor!;
}

/** The name of a member's etcd. By number, since members are renamed. */
export function voterName(memberId: number): string {
  return `member-${memberId}`;
}

/** The name of a witness's etcd. Its number is of the same row of numbers as the members'. */
export function witnessName(witnessId: number): string {
  return `witness-${witnessId}`;
}

export function voterNameOf({ id, witness = false }: { readonly id: number; readonly witness?: boolean }): string {
  return witness ? witnessName(id) : voterName(id);
}

/** The member a voter's name stands for, null for a witness or a foreign one. */
export function memberOfVoter(name: string): number | null {
  const digits = /^member-(\d+)$/.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** `host:port`, an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The two parts of `host:port`; `port` is 0 where none is given. */
export function splitHostPort(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(address);
  return match ? { host: match[1] ?? match[2] ?? '', port: Number(match[3] ?? 0) } : { host: address, port: 0 };
}

export function peerUrl(node: Pick<EtcdNode, 'advertisedHost' | 'peerPort'>): string {
  return `https://${hostPort(node.advertisedHost, node.peerPort)}`;
}

/**
 * Flags that 3.4, 3.5 and 3.6 share, but for one that was renamed. Elections: a heartbeat every 100 ms and 700 ms without one, so that the next leader
 * is there well within 2 s, while a disk that stalls for half a second (hazards F6) costs none; pre-vote keeps a member that comes back from disturbing
 * a leader that is well. Few entries are kept in memory for laggards, since ours are large. Nothing is compacted by etcd itself: the trimmer does.
 * etcd's own check of changes of members wants all connected for five seconds, which would leave an even number of voters for as long between two
 * promotions; `voter-choice.rules.ts` is stricter in what matters.
 */
export function etcdArguments(node: EtcdNode, version: string): string[] {
  const peers = `https://${hostPort(node.listenAddress, node.peerPort)}`;
  const clients = `https://${hostPort(node.listenAddress, node.clientPort)}`;
  // A connection may leave by any address of the host; who signed the certificate is what counts.
  const skipSourceAddress = version.startsWith('3.6.') ? '--peer-skip-client-san-verification' : '--experimental-peer-skip-client-san-verification';
  return [
    `--name=${node.name}`,
    `--data-dir=${node.dataDirectory}`,
    `--listen-peer-urls=${peers}`,
    `--listen-client-urls=${clients}`,
    `--initial-advertise-peer-urls=${peerUrl(node)}`,
    `--advertise-client-urls=https://${hostPort(node.advertisedHost, node.clientPort)}`,
    `--initial-cluster=${Object.entries(node.initialCluster).map(([name, url]) => `${name}=${url}`).join(',')}`,
    `--initial-cluster-state=${node.initialState}`,
    `--initial-cluster-token=${node.incarnation}`,
    `--trusted-ca-file=${node.files.ca}`, `--cert-file=${node.files.certificate}`, `--key-file=${node.files.key}`, '--client-cert-auth=true',
    `--peer-trusted-ca-file=${node.files.ca}`, `--peer-cert-file=${node.files.certificate}`, `--peer-key-file=${node.files.key}`, '--peer-client-cert-auth=true',
    `${skipSourceAddress}=true`,
    '--heartbeat-interval=100', '--election-timeout=700', '--pre-vote=true', '--strict-reconfig-check=false',
    '--snapshot-count=5000', '--max-snapshots=2', '--max-wals=2', '--auto-compaction-retention=0',
    `--quota-backend-bytes=${node.quotaBytes ?? defaultQuotaBytes}`,
    `--max-request-bytes=${maxRequestBytes}`, '--max-txn-ops=1024',
    '--grpc-keepalive-min-time=500ms', '--grpc-keepalive-interval=5s', '--grpc-keepalive-timeout=3s',
    '--logger=zap', '--log-outputs=stderr', '--log-level=warn',
  ];
}

/** Whether a process runs as another would: what counts at the very first start only may differ. */
export function isSameRun(given: readonly string[], wanted: readonly string[]): boolean {
  const lasting = (words: readonly string[]): string => words.filter((word) => !/^--initial-cluster(-state)?=/.test(word)).join('\n');
  return lasting(given) === lasting(wanted);
}

/** Collects early: a voter's live heap is small, and memory belongs to instances. */
export const etcdEnvironment: Readonly<Record<string, string>> = { GOGC: '50', GOMAXPROCS: '4' };
