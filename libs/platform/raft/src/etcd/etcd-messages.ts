/**
 * Messages of `proto/etcd/v3` as grpc-js gives them: camelCase, 64-bit integers as decimal text (revisions fit a number and are converted where
 * they are used; ids do not). Only what is sent or read here.
 */
export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly createRevision: string;
  readonly modRevision: string;
  readonly version: string;
  readonly lease: string;
}

export interface ResponseHeader {
  readonly clusterId: string;
  readonly memberId: string;
  readonly revision: string;
  readonly raftTerm: string;
}

export interface RangeRequest {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
  readonly limit?: number;
  readonly sortOrder?: 'NONE' | 'ASCEND' | 'DESCEND';
  readonly sortTarget?: 'KEY' | 'CREATE' | 'MOD';
  /** True: answered from the asked voter's own copy, which may lag; needs no quorum. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
}

export interface RangeResponse {
  readonly header: ResponseHeader;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

export interface PutRequest {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly lease?: string;
}

export interface DeleteRangeRequest {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
}

export interface Compare {
  readonly result: 'EQUAL' | 'GREATER' | 'LESS' | 'NOT_EQUAL';
  readonly target: 'VERSION' | 'CREATE' | 'MOD' | 'VALUE';
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
  readonly version?: number;
  readonly createRevision?: string;
  readonly modRevision?: string;
  readonly value?: Buffer;
}

export type RequestOp = { readonly requestRange: RangeRequest } | { readonly requestPut: PutRequest } | { readonly requestDeleteRange: DeleteRangeRequest };

export interface TxnRequest {
  /** All must hold; over a range, for every key in it (an empty range counts as one key of version and revision 0). */
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export interface TxnResponse {
  readonly header: ResponseHeader;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly responseRange?: RangeResponse | null }[];
}

export interface WatchEvent {
  readonly type: 'PUT' | 'DELETE';
  readonly kv: KeyValue;
}

export interface WatchResponse {
  readonly header: ResponseHeader;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: string;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly WatchEvent[];
}

export interface EtcdMember {
  /** Decimal text. */
  readonly ID: string;
  /** Empty until it has started for the first time. */
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
  readonly isLearner: boolean;
}

export interface EtcdStatus {
  readonly header: ResponseHeader;
  readonly version: string;
  /** Bytes of the database file, with and without free pages. */
  readonly dbSize: string;
  readonly dbSizeInUse: string;
  /** Member id of the leader as this voter knows it; `0` = none. */
  readonly leader: string;
  readonly raftIndex: string;
  readonly raftAppliedIndex: string;
  readonly errors: readonly string[];
  readonly isLearner: boolean;
}

/** The end of the range of all keys that begin with `prefix`. */
export function prefixEnd(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i]! < 0xff) {
      end[i]! += 1;
      return end.subarray(0, i + 1);
    }
  }
  return Buffer.from([0]);
}
