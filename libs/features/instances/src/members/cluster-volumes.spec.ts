import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FakeCluster } from '../testing/fake-cluster.js';
import type { FakeMember } from '../testing/fake-member.js';

interface Answer {
  readonly error: string;
  readonly metadata: any;
}

const volumes = '/1.0/storage-pools/default/volumes/custom';

/** Custom volumes lie on members: here each answers what it is asked on its own socket, without being sent on to another. */
describe('custom volumes of a cluster', () => {
  let cluster: FakeCluster;
  beforeAll(async () => {
    cluster = await FakeCluster.start(2);
    for (const member of cluster.members) await member.listen();
  });
  afterAll(() => cluster.close());

  const send = (id: number, method: string, path: string, body?: object): Promise<Answer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const sent = request({ socketPath: cluster.member(id).host.state.socket, method, path }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(JSON.parse(text) as Answer));
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  };
  /** The error of the operation that is answered, or of the answer itself. */
  const finish = async (id: number, method: string, path: string, body?: object): Promise<string> => {
    const { error, metadata } = await send(id, method, path, body);
    if (error !== '' || metadata?.id === undefined) return error;
    return (await send(id, 'GET', `/1.0/operations/${metadata.id}/wait`)).metadata.err as string;
  };
  const files = (member: FakeMember, name: string) => member.host.storage.pools.get('default')?.volumes.get(`custom/default_${name}`);

  it('have one name on several members, which must be named to be found', async () => {
    expect(await finish(1, 'POST', volumes, { name: 'v1', config: { 'user.of': 'm1' } })).toBe('');
    await cluster.sync();
    expect(await finish(2, 'POST', volumes, { name: 'v1', config: { 'user.of': 'm2' } })).toBe('');
    await cluster.sync();

    expect((await send(1, 'GET', volumes)).metadata).toEqual([`${volumes}/v1?target=m1`, `${volumes}/v1?target=m2`]);
    expect((await send(1, 'GET', `${volumes}/v1?target=m2`)).metadata).toMatchObject({ location: 'm2', config: { 'user.of': 'm2' } });
    expect((await send(1, 'GET', `${volumes}/v1`)).error).toBe('More than one cluster member has a volume named "v1". Please target a specific member');
  });

  it('are copied from member to member with their snapshots, and brought up to date', async () => {
    files(cluster.member(1), 'v1')!.content = 'one';
    expect(await finish(1, 'POST', `${volumes}/v1/snapshots?target=m1`, { name: 's0' })).toBe('');
    files(cluster.member(1), 'v1')!.content = 'two';
    await cluster.sync();
    const source = { type: 'copy', name: 'v1', pool: 'default', location: 'm1' };

    expect(await finish(2, 'POST', volumes, { name: 'copy', source })).toBe('');
    expect(files(cluster.member(2), 'copy')).toMatchObject({ content: 'two' });
    expect([...files(cluster.member(2), 'copy')!.snapshots]).toEqual([['s0', 'one']]);
    expect((await send(2, 'GET', `${volumes}/copy`)).metadata).toMatchObject({ location: 'm2', config: { 'user.of': 'm1' } });
    expect((await send(2, 'GET', `${volumes}/copy/snapshots`)).metadata).toHaveLength(1);

    files(cluster.member(1), 'v1')!.content = 'three';
    expect(await finish(2, 'POST', volumes, { name: 'copy', source: { ...source, refresh: true } })).toBe('');
    expect(files(cluster.member(2), 'copy')).toMatchObject({ content: 'three' });
    expect(files(cluster.member(2), 'copy')!.formers.size).toBe(0);
  });

  it('leave nothing when the member that has the source cannot send it', async () => {
    const lost = cluster.member(1).host.storage.pools.get('default')!.volumes;
    const volume = lost.get('custom/default_v1')!;
    lost.delete('custom/default_v1');
    try {
      expect(await finish(2, 'POST', volumes, { name: 'broken', source: { type: 'copy', name: 'v1', pool: 'default', location: 'm1' } })).not.toBe('');
      await vi.waitFor(() => expect(files(cluster.member(2), 'broken')).toBeUndefined());
      expect((await send(2, 'GET', `${volumes}/broken`)).error).toBe('Storage pool volume not found');
    } finally {
      lost.set('custom/default_v1', volume);
    }
  });
});
