import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RequestForwarder, RequestRouter } from '#platform/http';
import { FakeCluster } from '../testing/fake-cluster.js';

class NoForwarder extends RequestForwarder {
  override async forward(): Promise<void> {}
  override async tunnel(): Promise<void> {}
}

let cluster: FakeCluster;
let router: RequestRouter;
beforeAll(async () => {
  cluster = await FakeCluster.start(2);
  await cluster.member(1).create('c1');
  await cluster.member(2).create('c2');
  await cluster.sync();
  router = cluster.member(1).get(RequestRouter);
  router.forwarder = new NoForwarder();
});
afterAll(() => cluster.close());

const route = (url: string, method = 'GET', project = 'default', headers: Record<string, string> = {}) =>
  router.memberFor({ method, url, headers, identity: { protocol: 'unix', username: 'root', trusted: true } as never, project });

describe('a request about an instance', () => {
  it.each([
    ['/1.0/instances/c2', 2], ['/1.0/containers/c2/state', 2], ['/1.0/virtual-machines/c2', 2], ['/1.0/instances/c2/files?path=/etc/hosts', 2], ['/1.0/instances/c2/exec', 2],
    ['/1.0/instances/c2/snapshots/s0', 2], ['/1.0/instances/c1/state', null], ['/1.0/instances/nope', null], ['/1.0/instances', null],
  ])('%s is answered by member %s', (url, member) => {
    expect(route(url)).toBe(member);
  });

  it('goes to the member a backup is to be imported on, whichever is asked', () => {
    const archive = (target: string, type = 'application/octet-stream') => route(`/1.0/instances?target=${target}`, 'POST', 'default', { 'content-type': type });
    expect([archive('m2'), archive('m1'), archive(''), archive('m2', 'application/json'), route('/1.0/instances/c2/backups/b/export')]).toEqual([2, null, null, null, 2]);
    expect(() => archive('m9')).toThrow('Cluster member not found');
  });

  it('goes by the project it names', () => {
    expect(route('/1.0/instances/c2', 'GET', 'web')).toBeNull();
  });

  it('whose member is offline is shown from the rows, and refused at once otherwise', () => {
    cluster.network.down.add(2);

    expect(route('/1.0/instances/c2?recursion=1')).toBeNull();
    for (const [url, method] of [['/1.0/instances/c2/state', 'GET'], ['/1.0/instances/c2', 'PUT'], ['/1.0/instances/c2/exec', 'POST']] as const) {
      expect(() => route(url, method)).toThrow('Missing event connection with target cluster member: "m2" is offline');
    }
    cluster.network.down.clear();
  });
});
