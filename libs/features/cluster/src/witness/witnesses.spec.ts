import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeJoinToken } from '#api-types';
import { generateServerCertificate } from '#platform/auth';
import { Database } from '#platform/database';
import { ClusterMembersReconciler } from '../reconcile/cluster-members.reconciler.js';
import { SingleMember } from '../testing/single-member.js';

const witnesses = '/internal/cluster/witnesses';
const accept = '/internal/cluster/accept-witness';

describe('witnesses', () => {
  let cluster: SingleMember;
  let tls: { certificate: string; key: string };
  beforeAll(async () => {
    cluster = await SingleMember.start();
    await cluster.enable();
    tls = await generateServerCertificate('w1');
  });
  afterAll(() => cluster.close());

  const token = async (name: string): Promise<string> => (await cluster.send('POST', witnesses, { name })).metadata.token as string;
  const come = (text: string, host = '127.24.3.9') => cluster.send('POST', accept, { token: text, host, peerPort: 8444, clientPort: 8445 }, { tls });

  it('come by a token that is good for one of them, and for no member', async () => {
    const text = await token('w1');
    expect(decodeJoinToken(text)).toMatchObject({ server_name: 'w1', secret: expect.any(String) as string });
    expect(await come((await memberToken('w2')))).toMatchObject({ status: 403, error: 'not authorized' });

    expect(await come(text)).toMatchObject({ status: 200, metadata: { id: 2, admission: { incarnation: 'i' } } });
    expect(await come(text)).toMatchObject({ status: 403 });
    expect((await cluster.send('GET', witnesses)).metadata).toEqual([{ id: 2, name: 'w1', address: '127.24.3.9:8444', voter: '', online: false }]);
    expect((await cluster.send('GET', '/1.0/cluster/members')).metadata).toEqual(['/1.0/cluster/members/m1']);
    expect(await cluster.send('POST', witnesses, { name: 'w1' })).toMatchObject({ status: 409, error: 'The cluster already has a witness with name: w1' });
    expect(await cluster.send('POST', witnesses, { name: 'm1' })).toMatchObject({ status: 409, error: 'The cluster already has a member with name: m1' });
    expect(await come(await token('w3'))).toMatchObject({ status: 409, error: 'The cluster already has a witness with address: 127.24.3.9:8444' });
    expect(await come(await token('w3'), 'a b')).toMatchObject({ status: 400 });
  });

  it('are for who may use the unix socket, but for the door', async () => {
    expect(await cluster.send('GET', witnesses, undefined, { tls })).toMatchObject({ status: 403 });
    expect(await cluster.send('POST', witnesses, { name: 'w9' }, { tls })).toMatchObject({ status: 403 });
  });

  it('are missed when they do not answer', async () => {
    const warned = (): { message: string; status: number }[] => cluster.get(Database).read.all("SELECT last_message AS message, status FROM warnings WHERE entity_id = 2");
    const look = (): Promise<void> => cluster.get(ClusterMembersReconciler).run(new AbortController().signal);
    await look();
    expect(warned()).toEqual([{ message: 'The witness "w1" does not answer', status: 1 }]);
    cluster.liveness.online.add(2);
    await look();
    expect(warned()).toMatchObject([{ status: 3 }]);
  });

  it('stop voting before they hear that they go, and a number is not used again', async () => {
    expect(await cluster.send('DELETE', `${witnesses}/none`)).toMatchObject({ status: 404, error: 'The cluster has no witness "none"' });
    expect(await cluster.send('DELETE', `${witnesses}/w1`)).toMatchObject({ status: 200 });

    expect([cluster.released, cluster.dismissed]).toEqual([[2], [2]]);
    expect((await come(await token('w1'))).metadata.id).toBe(3);
  });

  /** As `lxc cluster add` makes it. */
  async function memberToken(name: string): Promise<string> {
    const { metadata } = await cluster.send('POST', '/1.0/cluster/members', { server_name: name });
    const { serverName, fingerprint, addresses, secret } = metadata.metadata as Record<string, unknown>;
    return Buffer.from(JSON.stringify({ server_name: serverName, fingerprint, addresses, secret })).toString('base64');
  }
});
