import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProfilesService } from '#features/profiles';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstancePower } from '../instance-power.service.js';
import { InstancesService } from '../instances.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { BulkStateChanges } from './bulk-state-changes.js';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await FakeCluster.start(3);
  for (const id of [1, 2, 3]) {
    const member = cluster.member(id);
    await member.create(`c${id}`);
    await member.get(InstancePower).start(member.ctx(), member.get(InstanceCatalog).get('default', `c${id}`));
  }
  await cluster.sync();
});
afterAll(() => cluster.close());

const list = async () => (await cluster.member(1).get(InstancesService).list({ project: 'default', type: null, filter: undefined })).map(({ name, status }) => `${name} ${status}`);
const change = async (action: string) => {
  const member = cluster.member(2);
  return (await member.get(BulkStateChanges).change(member.ctx(), { action, force: true })).wait();
};

describe('changing all instances at once', () => {
  it('reaches those of all members, each in an operation of its own', async () => {
    const operation = await change('stop');

    expect(operation).toMatchObject({ status: 'Success', location: 'm2', resources: { instances: ['/1.0/instances/c2'] } });
    expect(await list()).toEqual(['c1 Stopped', 'c2 Stopped', 'c3 Stopped']);
    expect((await change('stop')).resources).toEqual({ instances: null });
    await change('start');
    expect(await list()).toEqual(['c1 Running', 'c2 Running', 'c3 Running']);
  });

  it('says which member failed, and does not wait for those that are offline', async () => {
    cluster.member(1).host.faults.fail('instance.stopInstance');
    cluster.network.down.add(3);
    const operation = await change('stop');
    cluster.network.down.clear();

    expect(operation.status).toBe('Failure');
    expect(operation.err).toContain(' - Member: m1: The following instances failed to update state:\n - Instance: c1: Injected failure');
    expect(await list()).toEqual(['c1 Running', 'c2 Stopped', 'c3 Running']);
    await change('start');
  });
});

describe('a changed profile', () => {
  it('reaches instances on the hosts of all members', async () => {
    const member = cluster.member(2);
    const before = cluster.members.map(({ host }) => host.faults.callsOf('instance.updateInstance'));
    await member.get(ProfilesService).update(member.ctx(), 'default', {
      config: { 'limits.memory': '64MiB' }, devices: { root: { type: 'disk', path: '/', pool: 'default' } },
    }, { patch: false, ifMatch: undefined });

    expect(cluster.members.map(({ host }, index) => host.faults.callsOf('instance.updateInstance') - before[index]!)).toEqual([1, 1, 1]);
    expect([1, 2, 3].map((id) => cluster.member(id).host.instances.instances.get(`c${id}`)!.spec.config['limits.memory'])).toEqual(['64MiB', '64MiB', '64MiB']);
  });
});
