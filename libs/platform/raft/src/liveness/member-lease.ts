import type { Logger } from '#kernel';
import type { EtcdClient } from '../etcd/etcd-client.js';

export const leaseTtlSeconds = 5;
const renewMs = 1500;
const retryMs = 300;
const callTimeoutMs = 2500;

/** Below it everybody sees who is there. */
export function presencePrefix(incarnation: string): Buffer {
  return Buffer.from(`${incarnation}/alive/`);
}

/** The key a member or a witness holds. */
export function memberKey(incarnation: string, id: number): Buffer {
  return Buffer.concat([presencePrefix(incarnation), Buffer.from(String(id))]);
}

export interface MemberLeaseOptions {
  readonly client: EtcdClient;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly logger: Logger;
  /** After each answer: the log could be reached and had a leader. */
  readonly onContact: () => void;
}

/**
 * A key that lasts as long as this member renews its lease. Only the lease is renewed: a put would be refused when etcd's space is used up, and the
 * whole cluster would look dead (hazards C2). A lease found lost, after a pause or an election that took too long, is taken anew.
 */
export class MemberLease {
  private readonly ended = new AbortController();
  private lease: string | undefined;
  private loop: Promise<void> | undefined;
  private wake: () => void = () => undefined;

  constructor(private readonly options: MemberLeaseOptions) {}

  start(): void {
    this.loop = this.run();
  }

  /** Renews now, without waiting for the next round. */
  hurry(): void {
    this.wake();
  }

  /**
   * The key is gone although the lease may live: somebody's hand, or a put of ours from before that was only now carried out, with a lease that nobody
   * renews. Renewing ours would show nobody for ever, so both are taken anew.
   */
  keyIsGone(): void {
    this.lease = undefined;
    this.wake();
  }

  /** Gives the lease back, so that others need not wait for it to end. */
  async stop(): Promise<void> {
    this.ended.abort();
    this.wake();
    await this.loop;
    if (this.lease !== undefined) await this.options.client.revokeLease(this.lease, { timeoutMs: 500 }).catch(() => undefined);
  }

  private async run(): Promise<void> {
    while (!this.ended.signal.aborted) {
      const renewed = await this.renew();
      if (!this.ended.signal.aborted) await this.pause(renewed ? renewMs : retryMs);
    }
  }

  private async renew(): Promise<boolean> {
    const { client, key, value, onContact, logger } = this.options;
    const call = { timeoutMs: callTimeoutMs, signal: this.ended.signal };
    try {
      if (this.lease !== undefined && (await client.keepLeaseAlive(this.lease, call)) > 0) {
        onContact();
        return true;
      }
      this.lease = undefined;
      const { id } = await client.grantLease(leaseTtlSeconds, call);
      await client.put({ key, value, lease: id }, call);
      // Known only once the key hangs on it: a lease without its key would be renewed for ever and show nobody.
      this.lease = id;
      onContact();
      return true;
    } catch (error) {
      if (!this.ended.signal.aborted) logger.debug('This member’s lease was not renewed', { error: String(error) });
      return false;
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
