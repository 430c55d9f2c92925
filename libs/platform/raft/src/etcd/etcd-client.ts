import { unavailable } from '#kernel';
import { translate, VoterCalls, type EtcdCallOptions, type EtcdClientOptions } from './voter-calls.js';
import type {
  DeleteRangeRequest, EtcdMember, EtcdStatus, PutRequest, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse, WatchResponse,
} from './etcd-messages.js';

/** Whether etcd refused because its space is used up (hazards C2). */
export function isNoSpace(error: unknown): boolean {
  return /database space exceeded|NOSPACE/i.test(String((error as { details?: string }).details ?? error));
}

/**
 * What is asked of the voters' etcd.
 *
 * Rejects with `unavailable` when nobody answers in time: what happened is then unknown. Refusals by etcd itself are `precondition` with etcd's text.
 */
export class EtcdClient {
  private readonly calls: VoterCalls;

  constructor(options: EtcdClientOptions) {
    this.calls = new VoterCalls(options);
  }

  get endpointList(): readonly string[] {
    return this.calls.endpointList;
  }

  /** Voters come and go; connections to those that stay are kept. */
  setEndpoints(endpoints: readonly string[]): void {
    this.calls.setEndpoints(endpoints);
  }

  /** Who leads is asked first, once it answers. */
  async followLeader(endpoint: string, options: EtcdCallOptions = {}): Promise<void> {
    if (this.calls.preferredEndpoint === endpoint) return;
    await this.status(endpoint, options);
    this.calls.prefer(endpoint);
  }

  range(request: RangeRequest, options?: EtcdCallOptions): Promise<RangeResponse> {
    return this.calls.call('KV', 'range', request, options);
  }

  put(request: PutRequest, options?: EtcdCallOptions): Promise<{ header: ResponseHeader }> {
    return this.calls.call('KV', 'put', request, options);
  }

  deleteRange(request: DeleteRangeRequest, options?: EtcdCallOptions): Promise<{ deleted: string }> {
    return this.calls.call('KV', 'deleteRange', request, options);
  }

  txn(request: TxnRequest, options?: EtcdCallOptions): Promise<TxnResponse> {
    return this.calls.call('KV', 'txn', request, options);
  }

  async compact(revision: string, options?: EtcdCallOptions): Promise<void> {
    await this.calls.call('KV', 'compact', { revision, physical: true }, options);
  }

  /** `ttlSeconds`: etcd raises what is below its own minimum. Returns the lease's id. */
  async grantLease(ttlSeconds: number, options?: EtcdCallOptions): Promise<{ id: string; ttlSeconds: number }> {
    const reply = await this.calls.call<{ ID: string; TTL: string }>('Lease', 'leaseGrant', { TTL: ttlSeconds, ID: 0 }, options);
    return { id: reply.ID, ttlSeconds: Number(reply.TTL) };
  }

  async revokeLease(id: string, options?: EtcdCallOptions): Promise<void> {
    await this.calls.call('Lease', 'leaseRevoke', { ID: id }, options);
  }

  /** Renews a lease once. Resolves with the seconds it now has; 0 = it is gone. */
  async keepLeaseAlive(id: string, options: EtcdCallOptions = {}): Promise<number> {
    return this.calls.overEndpoints(options, async (endpoint, deadline, signal) => {
      const call = this.calls.duplex('Lease', 'leaseKeepAlive', endpoint, deadline);
      const cancel = (): void => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      try {
        call.write({ ID: id });
        for await (const reply of call) return Number((reply as { TTL: string }).TTL);
        throw unavailable('The log ended the call');
      } finally {
        signal.removeEventListener('abort', cancel);
        call.on('error', () => undefined);
        call.cancel();
      }
    });
  }

  async members(options?: EtcdCallOptions): Promise<readonly EtcdMember[]> {
    return (await this.calls.call<{ members: EtcdMember[] }>('Cluster', 'memberList', { linearizable: true }, options)).members;
  }

  async addMember(peerUrls: readonly string[], asLearner: boolean, options?: EtcdCallOptions): Promise<{ member: EtcdMember; members: readonly EtcdMember[] }> {
    return this.calls.call('Cluster', 'memberAdd', { peerURLs: peerUrls, isLearner: asLearner }, options);
  }

  async removeMember(id: string, options?: EtcdCallOptions): Promise<void> {
    await this.calls.call('Cluster', 'memberRemove', { ID: id }, options);
  }

  async promoteMember(id: string, options?: EtcdCallOptions): Promise<void> {
    await this.calls.call('Cluster', 'memberPromote', { ID: id }, options);
  }

  async updateMember(id: string, peerUrls: readonly string[], options?: EtcdCallOptions): Promise<void> {
    await this.calls.call('Cluster', 'memberUpdate', { ID: id, peerURLs: peerUrls }, options);
  }

  status(endpoint: string, options: EtcdCallOptions = {}): Promise<EtcdStatus> {
    return this.calls.call('Maintenance', 'status', {}, { ...options, endpoint });
  }

  async defragment(endpoint: string, options: EtcdCallOptions = {}): Promise<void> {
    await this.calls.call('Maintenance', 'defragment', {}, { timeoutMs: 60_000, ...options, endpoint });
  }

  /** Has to be asked of the leader's own endpoint. */
  async moveLeader(leaderEndpoint: string, targetId: string, options: EtcdCallOptions = {}): Promise<void> {
    await this.calls.call('Maintenance', 'moveLeader', { targetID: targetId }, { ...options, endpoint: leaderEndpoint });
  }

  async alarms(options?: EtcdCallOptions): Promise<readonly { memberID: string; alarm: string }[]> {
    return (await this.calls.call<{ alarms: { memberID: string; alarm: string }[] }>('Maintenance', 'alarm', { action: 'GET' }, options)).alarms;
  }

  async disarm(memberId: string, alarm: string, options?: EtcdCallOptions): Promise<void> {
    await this.calls.call('Maintenance', 'alarm', { action: 'DEACTIVATE', memberID: memberId, alarm }, options);
  }

  /**
   * Changes of a key or prefix from `startRevision` on (decimal text; absent: from now). A hint, never the truth: it ends with `unavailable` when the
   * voter has no leader, is gone or has compacted the revision, and the caller ranges what it missed. The first message says `created`.
   */
  async *watch(key: Buffer, rangeEnd: Buffer | undefined, startRevision: string | undefined, signal: AbortSignal): AsyncIterable<WatchResponse> {
    const endpoint = this.calls.watchedEndpoint;
    const call = this.calls.duplex('Watch', 'watch', endpoint, null);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      call.write({ createRequest: { key, rangeEnd, startRevision: startRevision ?? '0', progressNotify: true, fragment: true } });
      for await (const message of call) {
        const response = message as WatchResponse;
        this.calls.checkCluster(response.header);
        if (response.canceled) throw unavailable(`The watch ended: ${response.cancelReason || `compacted at ${response.compactRevision}`}`);
        yield response;
      }
      throw unavailable('The watch ended');
    } catch (error) {
      this.calls.watchEnded(endpoint);
      throw translate(error);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.on('error', () => undefined);
      call.cancel();
    }
  }

  close(): void {
    this.calls.close();
  }
}
