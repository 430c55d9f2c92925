import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InstancePower } from '../instance-power.service.js';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstancesService, type ListOptions } from '../instances.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { anyTree, type FakeMember } from '../testing/fake-member.js';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await FakeCluster.start(3);
  for (const id of [1, 2, 3]) await cluster.member(id).create(`c${id}`);
  await cluster.sync();
});
afterAll(() => cluster.close());

const everything: ListOptions = { project: 'default', type: null, filter: undefined };
const list = async (member: FakeMember, filter?: string) => {
  const instances = await member.get(InstancesService).list({ ...everything, filter });
  return instances.map(({ name, status, location }) => `${name} ${status} ${location}`);
};
const power = (id: number, name: string, action: 'start' | 'stop') => {
  const member = cluster.member(id);
  const instance = member.get(InstanceCatalog).get('default', name);
  const service = member.get(InstancePower);
  return action === 'start' ? service.start(member.ctx(), instance) : service.stop(member.ctx(), instance, { force: true, timeoutMs: 0 });
};

describe('a list through any member', () => {
  it('says where instances are and how they are', async () => {
    await power(2, 'c2', 'start');

    const expected = ['c1 Stopped m1', 'c2 Running m2', 'c3 Stopped m3'];
    expect(await Promise.all(cluster.members.map((member) => list(member)))).toEqual([expected, expected, expected]);
    await power(2, 'c2', 'stop');
    expect(await list(cluster.member(1))).toEqual(['c1 Stopped m1', 'c2 Stopped m2', 'c3 Stopped m3']);
  });

  it('shows what only the member of an instance knows of it', async () => {
    await power(3, 'c3', 'start');

    const [seen, own] = await Promise.all([1, 3].map(async (id) => {
      const service = cluster.member(id).get(InstancesService);
      return service.show(await service.find('default', 'c3', anyTree), '1');
    }));
    expect(own!.config['volatile.last_state.power']).toBe('RUNNING');
    expect(own!.last_used_at).not.toContain('1970');
    expect({ ...seen, state: null }).toEqual({ ...own, state: null });
    await power(3, 'c3', 'stop');
  });

  it('carries the state of what runs elsewhere', async () => {
    await power(2, 'c2', 'start');

    const full = await cluster.member(3).get(InstancesService).listFull(everything);
    const own = await cluster.member(2).get(InstancesService).listFull(everything);
    expect(full.map(({ name, state }) => `${name} ${state?.status} ${state?.pid === own.find((other) => other.name === name)?.state?.pid}`)).toEqual(['c1 Stopped true', 'c2 Running true', 'c3 Stopped true']);
    await power(2, 'c2', 'stop');
  });

  it('filters by place and by status', async () => {
    expect(await list(cluster.member(1), 'location eq m2')).toEqual(['c2 Stopped m2']);
    expect(await list(cluster.member(3), 'status eq running')).toEqual([]);
  });

  it('asks each member once, for what has changed, and nobody where names are enough', async () => {
    await list(cluster.member(1));
    cluster.network.calls.length = 0;
    await cluster.member(1).get(InstancesService).listUrls(anyTree, everything);
    expect(cluster.network.calls).toEqual([]);
    await list(cluster.member(1));
    expect(cluster.network.calls.sort()).toEqual(['2 instances.describe', '3 instances.describe']);
  });
});

describe('a member that is not there', () => {
  it('leaves its instances in the list, as Error, and is not asked when it is known to be offline', async () => {
    cluster.network.down.add(3);
    cluster.network.calls.length = 0;

    expect(await list(cluster.member(1))).toEqual(['c1 Stopped m1', 'c2 Stopped m2', 'c3 Error m3']);
    expect(cluster.network.calls).toEqual(['2 instances.describe']);
    const full = await cluster.member(1).get(InstancesService).listFull({ ...everything, filter: 'name eq c3' });
    expect(full).toMatchObject([{ status: 'Error', status_code: 112, state: null }]);
    cluster.network.down.delete(3);
    expect(await list(cluster.member(1))).toContain('c3 Stopped m3');
  });

  it('holds up a list for less than a second, the next ones hardly, and is believed again once it answers', async () => {
    cluster.network.silent.add(2);
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      const before = performance.now();
      expect(await list(cluster.member(1))).toContain('c2 Error m2');
      times.push(performance.now() - before);
    }
    expect(times[0]).toBeLessThan(1000);
    expect(times[2]).toBeLessThan(500);

    cluster.network.silent.delete(2);
    await expect.poll(() => list(cluster.member(1)), { timeout: 3000 }).toContain('c2 Stopped m2');
  });

  it('does not keep others from being told when its state cannot be had', async () => {
    cluster.network.unreachable.add(3);
    const service = cluster.member(1).get(InstancesService);

    await expect(service.state(await service.find('default', 'c3', anyTree))).rejects.toThrow('Cluster member "m3" does not answer');
    cluster.network.unreachable.delete(3);
  });
});

describe('an instance of another member', () => {
  it('is not worked on here', async () => {
    await expect(cluster.member(1).get(InstancesService).get('default', 'c2', anyTree)).rejects.toThrow('Instance "c2" is on cluster member "m2"');
  });
});
