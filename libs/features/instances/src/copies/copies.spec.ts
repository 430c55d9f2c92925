import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeOperation } from '#platform/operations/testing';
import type { Step, StepClass } from '#platform/operations';
import { PoolsService, VolumesService } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceCreation } from '../instance-creation.service.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstancePower } from '../instance-power.service.js';
import { InstanceRows } from '../instance-rows.service.js';
import { InstancesReconciler } from '../reconcile/instances.reconciler.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { settled, type FakeMember } from '../testing/fake-member.js';
import { copyInstance } from './copy-instance.operation.js';
import type { CopyInstanceParams } from './copy-operation.params.js';
import { InstanceCopies } from './instance-copies.service.js';

const find = (member: FakeMember, name: string) => member.get(InstanceCatalog).get('default', name);
const volume = (member: FakeMember, name: string) => member.host.storage.pools.get('default')?.volumes.get(`container/${name}`);
const copy = async (member: FakeMember, name: string, source: string, more: object = {}) =>
  settled(await member.get(InstanceCreation).create(member.ctx(), { name, source: { type: 'copy', source, ...more } }, null, null));

async function makeSource(member: FakeMember): Promise<void> {
  await member.create('c1', { config: { 'user.mark': 'one', 'volatile.base_image': 'abc' } });
  volume(member, 'c1')!.content = 'first';
  await settled(await member.get(SnapshotRequests).create(member.ctx(), find(member, 'c1'), { name: 's0' }));
  volume(member, 'c1')!.content = 'second';
}

describe('a copy', () => {
  let cluster: FakeCluster;
  beforeAll(async () => {
    cluster = await FakeCluster.start(2);
    await makeSource(cluster.member(1));
    await cluster.sync();
  });
  afterAll(() => cluster.close());

  it.each([[1, 'here'], [2, 'there']])('to member %i has files, snapshots and configuration, and identities of its own', async (id, name) => {
    const member = cluster.member(id);

    const operation = await copy(member, name, 'c1');

    expect([volume(member, name)?.content, [...volume(member, name)!.snapshots]]).toEqual(['second', [['s0', 'first']]]);
    const [source, made] = [find(member, 'c1').row, find(member, name).row];
    expect(made).toMatchObject({ memberId: id, state: 'Created', config: { 'user.mark': 'one', 'volatile.base_image': 'abc', 'volatile.apply_template': 'copy' } });
    for (const key of ['volatile.uuid', 'volatile.cloud-init.instance-id']) expect(made.config[key]).not.toBe(source.config[key]);
    expect(member.get(InstanceSnapshots).list(find(member, name)).map((row) => row.name)).toEqual(['s0']);
    expect(operation.resources?.['instances']).toEqual([`/1.0/instances/${name}`, '/1.0/instances/c1']);
    expect(volume(cluster.member(1), 'c1')?.content).toBe('second');
  });

  it.each([1, 2])('of a snapshot to member %i is that snapshot alone', async (id) => {
    const member = cluster.member(id);

    const operation = await copy(member, `snap${id}`, 'c1/s0');

    expect([volume(member, `snap${id}`)?.content, volume(member, `snap${id}`)?.snapshots.size]).toEqual(['first', 0]);
    expect(operation.resources?.['instances']).toEqual([`/1.0/instances/snap${id}`, '/1.0/instances/c1/s0']);
  });

  it('leaves snapshots behind when asked, and takes what the request says over what the source has', async () => {
    const member = cluster.member(1);
    await settled(await member.get(InstanceCreation).create(member.ctx(), { name: 'alone', config: { 'user.mark': 'mine' }, source: { type: 'copy', source: 'c1', instance_only: true } }, null, null));

    expect(volume(member, 'alone')?.snapshots.size).toBe(0);
    expect(find(member, 'alone').row.config['user.mark']).toBe('mine');
  });

  it('of what runs is made here, and refused from another member with its state', async () => {
    const first = cluster.member(1);
    await first.get(InstancePower).start(first.ctx(), find(first, 'c1'));

    await copy(first, 'ran', 'c1');
    await expect(copy(cluster.member(2), 'ran2', 'c1', { live: true })).rejects.toThrow("Unable to perform container live migration. CRIU isn't installed on the source server");

    expect(cluster.member(2).get(InstanceCatalog).find('default', 'ran2')).toBeUndefined();
    expect(volume(cluster.member(2), 'ran2')).toBeUndefined();
    await first.get(InstancePower).stop(first.ctx(), find(first, 'c1'), { force: true, timeoutMs: 0 });
  });

  it.each([[false, 'Frozen'], [true, 'Running']])('of what runs is made on another member without its state; inconsistent: %s, it is %s meanwhile', async (inconsistent, during) => {
    const [first, second] = [cluster.member(1), cluster.member(2)];
    const power = () => first.host.instances.instances.get('c1')?.power;
    await first.get(InstancePower).start(first.ctx(), find(first, 'c1'));
    const pools = first.get(PoolsService);
    const capabilitiesOf = pools.capabilitiesOf.bind(pools);
    pools.capabilitiesOf = async (driver) => ({ ...(await capabilitiesOf(driver))!, freezeToCopy: true });
    const seen: unknown[] = [];
    first.host.faults.before('transfer.sendVolume', async () => { seen.push(power()); });

    await copy(second, `ran-${during.toLowerCase()}`, 'c1', { allow_inconsistent: inconsistent });

    first.host.faults.clear();
    pools.capabilitiesOf = capabilitiesOf;
    expect([seen, power()]).toEqual([[during], 'Running']);
    expect(volume(second, `ran-${during.toLowerCase()}`)?.content).toBe('second');
    await first.get(InstancePower).stop(first.ctx(), find(first, 'c1'), { force: true, timeoutMs: 0 });
  });

  it('leaves what it was made of running when the daemon that held it still is gone', async () => {
    const first = cluster.member(1);
    await first.get(InstancePower).start(first.ctx(), find(first, 'c1'));
    await first.host.instances.freezeInstance('c1');
    first.get(MemberVolatileStore).setHeldStill(find(first, 'c1').row.id, true);

    await first.get(InstancesReconciler).run(new AbortController().signal);

    expect(first.host.instances.instances.get('c1')?.power).toBe('Running');
    expect(first.get(MemberVolatileStore).get(find(first, 'c1').row.id).heldStill).toBe(false);
    await first.get(InstancePower).stop(first.ctx(), find(first, 'c1'), { force: true, timeoutMs: 0 });
  });

  it.each([
    [{ source: 'no' }, 'Failed to fetch instance "no" in project "default": Instance not found'], [{ source: 'c1/no' }, 'Failed to fetch snapshot "no" of instance "c1" in project "default": InstanceSnapshot not found'],
    [{}, 'Must specify a source instance'],
  ])('is refused of %j', async (source, message) => {
    const member = cluster.member(1);
    await expect(member.get(InstanceCreation).create(member.ctx(), { name: 'x', source: { type: 'copy', ...source } }, null, null)).rejects.toThrow(message);
  });
});

for (const target of [1, 2]) {
  describeOperation<CopyInstanceParams>({
    definition: copyInstance,
    timeoutMs: 20_000,
    harness: async () => {
      const cluster = await FakeCluster.start(2);
      await makeSource(cluster.member(1));
      await cluster.sync();
      const member = cluster.member(target);
      const { idmap } = await member.get(InstanceNeighbors).hostDescription();
      const { source } = await member.get(InstanceCopies).resolve('default', { source: { type: 'copy', source: 'c1' } });
      const params: CopyInstanceParams = { project: 'default', name: 'c2', type: 'container', pool: 'default', size: '', fingerprint: '', remote: null, source };
      const traces = () => ({
        row: member.get(InstanceRepository).findByName('default', 'c2')?.state ?? 'none', volume: volume(member, 'c2')?.content ?? 'none',
        host: member.host.instances.instances.has('c2'), rows: member.get(VolumesService).find({ pool: 'default', project: 'default', name: 'c2', type: 'container' }) !== undefined,
        snapshots: volume(member, 'c2')?.snapshots.size ?? 0,
      });
      return {
        steps: copyInstance.steps.map((type: StepClass<CopyInstanceParams>) => member.get(type as unknown as abstract new () => Step<CopyInstanceParams, unknown>)),
        transactions: member.transactions, database: member.database, feed: member.feed, member: member.host.member, close: () => cluster.close(), params,
        reserve: (tx) => {
          member.get(InstanceRows).reserve(tx, 'default', {
            memberId: target, projectId: 1, name: 'c2', type: 'container', architecture: 'x86_64', ephemeral: false, description: '', profiles: [1], config: {}, devices: {},
          }, idmap);
          member.get(InstanceCopies).reserveSnapshots(tx, params);
        },
        assertDone: () => expect(traces()).toEqual({ row: 'Created', volume: 'second', host: true, rows: true, snapshots: 1 }),
        assertClean: () => {
          expect(traces()).toEqual({ row: 'none', volume: 'none', host: false, rows: false, snapshots: 0 });
          expect(volume(cluster.member(1), 'c1')?.content).toBe('second');
        },
      };
    },
  });
}
