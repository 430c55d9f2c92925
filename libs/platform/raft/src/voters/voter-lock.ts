import type { EtcdClient } from '../etcd/etcd-client.js';

const ttlSeconds = 15;
const renewMs = 4_000;

/**
 * Lets one member at a time change who votes. Leading does not suffice: for a moment two may believe that they do. The lock ends by itself
 * when its holder is killed.
 */
export async function withLock<T>(client: EtcdClient, key: Buffer, holder: string, work: () => Promise<T>): Promise<T | undefined> {
  const { id: lease } = await client.grantLease(ttlSeconds);
  const renewal = setInterval(() => void client.keepLeaseAlive(lease).catch(() => undefined), renewMs).unref();
  try {
    // A transaction that was sent twice finds its own lease on the key.
    const { succeeded, responses } = await client.txn({
      compare: [{ key, target: 'CREATE', result: 'EQUAL', createRevision: '0' }],
      success: [{ requestPut: { key, value: Buffer.from(holder), lease } }],
      failure: [{ requestRange: { key } }],
    });
    const held = succeeded || responses[0]?.responseRange?.kvs[0]?.lease === lease;
    return held ? await work() : undefined;
  } finally {
    clearInterval(renewal);
    await client.revokeLease(lease, { timeoutMs: 1000 }).catch(() => undefined);
  }
}
