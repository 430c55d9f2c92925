import type { LocalMember, Logger } from '#kernel';
import { MemberLiveness } from '#ports';
import type { EtcdClient } from '../etcd/etcd-client.js';
import { prefixEnd } from '../etcd/etcd-messages.js';
import { memberOfVoter } from '../process/etcd-arguments.rules.js';
import { leaseTtlSeconds, memberKey, MemberLease, presencePrefix } from './member-lease.js';
import { PauseWatch } from './pause-watch.js';
import { isOnlineAt, lastSeen, type Presence } from './presence.rules.js';

export interface LeaseLivenessOptions {
  readonly member: LocalMember;
  readonly logger: Logger;
  /** `cluster.offline_threshold`, milliseconds; read whenever it counts. */
  readonly offlineThresholdMs: () => number;
}

const roundMs = 1000;
const retryMs = 200;
const statusTimeoutMs = 1000;

/**
 * Liveness by leases in the cluster's log: each member holds `<incarnation>/alive/<member>`, everybody watches the prefix. A member cut off
 * from the log knows of no other any more: after the threshold they count as offline to it.
 */
export class LeaseLiveness extends MemberLiveness {
  private readonly pauses = new PauseWatch(leaseTtlSeconds * 1000);
  private readonly listeners = new Set<() => void>();
  private following: Following | undefined;
  private told = '';

  constructor(private readonly options: LeaseLivenessOptions) {
    super();
    this.pauses.onPause((pausedMs) => {
      options.logger.warn('This process did not run for a while', { pausedMs: Math.round(pausedMs) });
      this.following?.lease.hurry();
    });
  }

  /** Takes part in the cluster whose log `client` reaches. Ends an earlier part first. */
  async follow(client: EtcdClient, incarnation: string): Promise<void> {
    await this.unfollow();
    const prefix = presencePrefix(incarnation);
    const { member, logger } = this.options;
    const key = memberKey(incarnation, member.id);
    const following: Following = {
      client, prefix, ended: new AbortController(), presence: new Map(), contactMs: 0, leader: null, voters: new Map(),
      lease: new MemberLease({ client, key, logger, value: Buffer.from(JSON.stringify({ member: member.id, since: new Date().toISOString() })), onContact: () => { following.contactMs = performance.now(); } }),
      timer: setInterval(() => void this.round(), roundMs).unref(),
    };
    this.following = following;
    this.pauses.start();
    following.lease.start();
    void this.watch(following);
    void this.round();
  }

  /** Before this member stops or leaves. The lease is given back. */
  async unfollow(): Promise<void> {
    const { following } = this;
    if (following === undefined) return;
    this.following = undefined;
    this.pauses.stop();
    clearInterval(following.timer);
    following.ended.abort();
    await following.lease.stop();
    this.tell();
  }

  override isOnline(memberId: number): boolean {
    return memberId === this.options.member.id || isOnlineAt(this.seenAt(memberId), performance.now(), this.options.offlineThresholdMs());
  }

  override lastSeenMs(memberId: number): number | null {
    const now = new Date().getTime();
    if (memberId === this.options.member.id) return now;
    const seen = this.seenAt(memberId);
    return seen === null ? null : now - (performance.now() - seen);
  }

  override leaderId(): number | null {
    return this.following?.leader ?? null;
  }

  override onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** By the monotonic clock: one that is set must not make everybody look gone, or here for ever. */
  private seenAt(memberId: number): number | null {
    return this.following === undefined ? null : lastSeen(this.following.presence.get(memberId), this.following.contactMs);
  }

  private tell(): void {
    const { following } = this;
    const online = following === undefined ? [] : [...following.presence.keys()].filter((id) => this.isOnline(id)).toSorted((a, b) => a - b);
    const state = `${this.leaderId()} ${online.join()}`;
    if (state === this.told) return;
    this.told = state;
    for (const listener of this.listeners) listener();
  }

  /** Looks who leads, and notices thresholds that have passed. */
  private async round(): Promise<void> {
    const { following } = this;
    if (following === undefined) return;
    const leader = await findLeader(following);
    if (this.following !== following) return;
    following.leader = leader;
    this.tell();
  }

  private async watch(following: Following): Promise<void> {
    const { signal } = following.ended;
    while (!signal.aborted) {
      try {
        const { kvs, header } = await following.client.range({ key: following.prefix, rangeEnd: prefixEnd(following.prefix), keysOnly: true }, { signal });
        this.replace(following, kvs.map((kv) => kv.key));
        const next = String(BigInt(header.revision) + 1n);
        for await (const response of following.client.watch(following.prefix, prefixEnd(following.prefix), next, signal)) {
          following.contactMs = performance.now();
          for (const event of response.events) this.note(following, event.kv.key, event.type === 'PUT');
          this.lookForOwn(following);
          this.tell();
        }
      } catch {
        // An election, a voter that went away: the next round ranges what was missed.
      }
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }

  private replace(following: Following, keys: readonly Buffer[]): void {
    following.contactMs = performance.now();
    const held = new Set(keys.map(memberOfKey));
    for (const [id, presence] of following.presence) if (presence.held && !held.has(id)) following.presence.set(id, gone());
    for (const id of held) if (id !== null) following.presence.set(id, { held: true, goneMs: 0 });
    this.lookForOwn(following);
    this.tell();
  }

  private lookForOwn(following: Following): void {
    if (following.presence.get(this.options.member.id)?.held === false) following.lease.keyIsGone();
  }

  private note(following: Following, key: Buffer, held: boolean): void {
    const id = memberOfKey(key);
    if (id !== null) following.presence.set(id, held ? { held, goneMs: 0 } : gone());
  }
}

interface Following {
  readonly client: EtcdClient;
  readonly prefix: Buffer;
  readonly ended: AbortController;
  readonly presence: Map<number, Presence>;
  /** When the log last answered, by the monotonic clock. */
  contactMs: number;
  leader: number | null;
  /** Members and where their etcd answers, by its id. */
  voters: Map<string, { readonly memberId: number; readonly endpoint: string }>;
  readonly lease: MemberLease;
  readonly timer: NodeJS.Timeout;
}

/** A lease ends its whole length after it was last renewed. */
function gone(): Presence {
  return { held: false, goneMs: performance.now() - leaseTtlSeconds * 1000 };
}

function memberOfKey(key: Buffer): number | null {
  const digits = /\/alive\/(\d+)$/.exec(key.toString())?.[1];
  return digits === undefined ? null : Number(digits);
}

/** The first voter that answers and knows a leader is believed. */
async function findLeader(following: Following): Promise<number | null> {
  const { client, voters, ended: { signal } } = following;
  for (const endpoint of client.endpointList) {
    try {
      const { leader } = await client.status(endpoint, { timeoutMs: statusTimeoutMs, signal });
      if (leader === '0') continue;
      if (!voters.has(leader)) {
        for (const { ID, name, clientURLs: [url] } of await client.members({ timeoutMs: statusTimeoutMs, signal })) {
          voters.set(ID, { memberId: memberOfVoter(name) ?? 0, endpoint: url === undefined ? '' : new URL(url).host });
        }
      }
      const found = voters.get(leader);
      // Who cannot reach it goes on asking the others.
      if (found !== undefined) await client.followLeader(found.endpoint, { timeoutMs: statusTimeoutMs, signal }).catch(() => undefined);
      return found?.memberId || null;
    } catch {
      // The next one is asked.
    }
  }
  return null;
}
