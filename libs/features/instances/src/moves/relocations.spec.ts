import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstancePost } from '#api-types';
import type { OperationDefinition, Step, StepClass } from '#platform/operations';
import { describeOperation } from '#platform/operations/testing';
import { PoolsService } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstancePower } from '../instance-power.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import { ArrivingInstance } from './arriving-instance.js';
import { moveInstance } from './move-instance.operation.js';
import type { MoveInstanceParams } from './move-operation.params.js';
import { MoveRequests } from './move-requests.service.js';
import { relocateInstance } from './relocate-instance.operation.js';
import type { InstancePlace, RelocateInstanceParams } from './relocation.params.js';

const home: InstancePlace = { project: 'default', name: 'c1', pool: 'default' };
const hostName = ({ project, name }: InstancePlace) => (project === 'default' ? name : `${project}_${name}`);

/** `c1` with snapshots s0 and s1. */
async function makeInstance(member: FakeMember, name = 'c1'): Promise<void> {
  await member.create(name, { config: { 'user.mark': 'one' } });
  for (const snapshot of ['s0', 's1']) {
    await settled(await member.get(SnapshotRequests).create(member.ctx(), member.get(InstanceCatalog).get('default', name), { name: snapshot }));
  }
}

/** Another pool, and a project that shares images and profiles with the default one. */
async function makePlaces(member: FakeMember): Promise<void> {
  await member.get(PoolsService).create(member.ctx(), { name: 'other', driver: 'dir', description: '', config: {} });
  await member.transactions.run(member.ctx(), (tx) => tx.sql.run("INSERT INTO projects (id, name, description, config) VALUES (77, 'pj', '', '{\"features.storage.volumes\":\"true\"}')"));
}

/** What one member has of an instance in one place. */
function at(member: FakeMember, place: InstancePlace, memberId = member.host.member.id) {
  const volume = member.host.storage.pools.get(place.pool)?.volumes.get(`container/${hostName(place)}`);
  const row = member.get(InstanceRepository).findByName(place.project, place.name);
  const known = member.host.instances.instances.get(hostName(place))?.spec;
  const there = row !== undefined && row.memberId === memberId && member.get(ArrivingInstance).isAt(row.id, place);
  return {
    instance: there, volume: volume === undefined ? null : [...volume.snapshots.keys()], host: known?.rootVolume.pool.name === place.pool,
    volumeRow: member.database.read.get('SELECT 1 FROM storage_volumes v JOIN storage_pools p ON p.id = v.storage_pool_id JOIN projects j ON j.id = v.project_id WHERE v.name = ? AND p.name = ? AND j.name = ? AND v.node_id = ?', place.name, place.pool, place.project, memberId) !== undefined,
    snapshots: there ? member.get(InstanceSnapshotRepository).listByInstance(row.id).map(({ name }) => name) : [],
  };
}

const nothing = { instance: false, volume: null, host: false, volumeRow: false, snapshots: [] };
const whole = (snapshots: string[]) => ({ instance: true, volume: snapshots, host: true, volumeRow: true, snapshots });
const stepsOf = <P>(member: FakeMember, { steps }: OperationDefinition<P>) => steps.map((type: StepClass<P>) => member.get(type as unknown as abstract new () => Step<P, unknown>));

describe('an instance asked to another place of its member', () => {
  let member: FakeMember;
  beforeAll(async () => {
    member = await FakeMember.start();
    await makePlaces(member);
    await makeInstance(member);
  });
  afterAll(() => member.close());

  const instance = (project: string, name: string) => member.get(InstanceCatalog).get(project, name);
  const move = async (from: InstancePlace, request: InstancePost) => settled(await member.get(MoveRequests).withinMember(member.ctx(from.project), instance(from.project, from.name), { migration: true, ...request }));

  it('gets another pool, with its snapshots, whose root disks follow', async () => {
    const before = instance('default', 'c1').row;
    const there = { ...home, pool: 'other' };

    const operation = await move(home, { pool: 'other' });

    expect([at(member, home), at(member, there)]).toEqual([nothing, whole(['s0', 's1'])]);
    expect(instance('default', 'c1').row).toEqual({ ...before, devices: { root: { path: '/', pool: 'other', type: 'disk' } } });
    expect(member.get(InstanceSnapshotRepository).listByInstance(before.id).map(({ devices }) => devices['root']?.['pool'])).toEqual(['other', 'other']);
    expect(operation).toMatchObject({ description: 'Migrating instance', resources: { instances: ['/1.0/instances/c1'] } });
  });

  it('gets another project and name, and is another one to cloud-init', async () => {
    const before = instance('default', 'c1').row;
    const from = { ...home, pool: 'other' };
    const there = { project: 'pj', name: 'c2', pool: 'other' };

    await move(from, { project: 'pj', name: 'c2' });

    expect([at(member, from), at(member, there)]).toEqual([nothing, whole(['s0', 's1'])]);
    const after = instance('pj', 'c2').row;
    expect([after.id, after.config['volatile.uuid'], after.config['user.mark'], after.profiles]).toEqual([before.id, before.config['volatile.uuid'], 'one', before.profiles]);
    expect(after.config['volatile.cloud-init.instance-id']).not.toBe(before.config['volatile.cloud-init.instance-id']);
  });

  it('leaves its snapshots behind when asked', async () => {
    const from = { project: 'pj', name: 'c2', pool: 'other' };

    await move(from, { project: 'default', name: 'c1', pool: 'default', instance_only: true });

    expect([at(member, from), at(member, home)]).toEqual([nothing, whole([])]);
  });

  it.each([
    [{ pool: 'nope' }, 'Failed creating instance record: Failed initialising instance: Failed loading storage pool: Storage pool not found'],
    [{ project: 'nope' }, 'Failed creating instance record: Project not found'],
    [{ pool: 'other', name: 'taken' }, 'Failed creating instance record: Add instance info to the database: This "instances" entry already exists'],
    [{ pool: 'other', name: 'a/b' }, 'The character "/" is reserved for snapshots'],
    [{ pool: 'other', name: 'a b' }, 'Invalid instance name: Name can only contain alphanumeric and hyphen characters'],
  ])('is refused %j', async (request, message) => {
    if (member.get(InstanceCatalog).find('default', 'taken') === undefined) await member.create('taken');

    await expect(move(home, request)).rejects.toThrow(message);
    expect(at(member, home)).toEqual(whole([]));
  });

  it('stays where it runs', async () => {
    await member.get(InstancePower).start(member.ctx(), instance('default', 'c1'));

    await expect(move(home, { pool: 'other' })).rejects.toThrow('Instance must be stopped to move between pools statelessly');
    await expect(move(home, { project: 'pj' })).rejects.toThrow('Instance must be stopped to move between projects statelessly');
    await member.get(InstancePower).stop(member.ctx(), instance('default', 'c1'), { force: true, timeoutMs: 0 });
  });
});

for (const to of [{ ...home, pool: 'other' }, { project: 'pj', name: 'c2', pool: 'default' }, { project: 'pj', name: 'c1', pool: 'other' }]) {
  describe(`to ${JSON.stringify(to)}`, () => {
    describeOperation<RelocateInstanceParams>({
      definition: relocateInstance,
      harness: async () => {
        const member = await FakeMember.start();
        await makePlaces(member);
        await makeInstance(member);
        const { row } = member.get(InstanceCatalog).get('default', 'c1');
        const params: RelocateInstanceParams = { ...home, id: row.id, type: 'container', to, snapshots: ['s0', 's1'], size: '' };
        const arrived = (): void => expect([at(member, home), at(member, to)]).toEqual([nothing, whole(['s0', 's1'])]);
        return {
          steps: stepsOf(member, relocateInstance), transactions: member.transactions, database: member.database, feed: member.feed, close: () => member.close(), params,
          reserve: (tx) => member.get(ArrivingInstance).reserve(tx, row, home, to, params.snapshots),
          assertDone: arrived,
          // Once the row has been switched it is there, whatever comes after; what it has left may wait.
          assertClean: () => {
            if (at(member, to).instance) expect(at(member, to)).toEqual(whole(['s0', 's1']));
            else expect([at(member, home), at(member, to)]).toEqual([whole(['s0', 's1']), nothing]);
          },
        };
      },
    });
  });
}

const renamed = { project: 'default', name: 'c2', pool: 'default' };

describe('a move to another member', () => {
  let cluster: FakeCluster;
  beforeAll(async () => {
    cluster = await FakeCluster.start(2);
    await makeInstance(cluster.member(1));
    await cluster.sync();
  });
  afterAll(() => cluster.close());

  const move = async (from: number, name: string, request: InstancePost) => {
    const member = cluster.member(from);
    await settled(await member.get(MoveRequests).toMember(member.ctx(), member.get(InstanceCatalog).get('default', name), { migration: true, ...request }, `m${3 - from}`));
    await cluster.sync();
  };

  it('can give another name', async () => {
    await move(1, 'c1', { name: 'c2' });

    expect([at(cluster.member(1), home), at(cluster.member(2), renamed)]).toEqual([nothing, whole(['s0', 's1'])]);
  });

  it('can leave the snapshots behind', async () => {
    await move(2, 'c2', { instance_only: true });

    expect([at(cluster.member(2), renamed), at(cluster.member(1), renamed)]).toEqual([nothing, whole([])]);
  });

  it('of what runs is one of what was shut down, and is started again', async () => {
    await cluster.member(1).create('runs');
    const power = (id: number) => cluster.member(id).host.instances.instances.get('runs')?.power;
    const find = (id: number) => cluster.member(id).get(InstanceCatalog).get('default', 'runs');
    await cluster.member(1).get(InstancePower).start(cluster.member(1).ctx(), find(1));
    await cluster.sync();

    await move(1, 'runs', {});
    expect([power(1), power(2), find(2).row.memberId]).toEqual([undefined, 'Running', 2]);

    cluster.member(1).host.faults.fail('instance.createInstance');
    await expect(move(2, 'runs', { live: false })).rejects.toThrow('Injected failure');
    expect([power(1), power(2)]).toEqual([undefined, 'Running']);

    cluster.member(1).host.faults.clear();
    await move(2, 'runs', { name: 'renamed' });
    expect([cluster.member(1).host.instances.instances.get('renamed')?.power, power(2)]).toEqual(['Running', undefined]);
  });

  it('does not take a name that is taken', async () => {
    await cluster.member(1).create('taken');
    await cluster.sync();

    await expect(move(1, 'c2', { name: 'taken' })).rejects.toThrow('This "instances" entry already exists');
    expect(at(cluster.member(1), renamed)).toEqual(whole([]));
  });

  it('gets ids of its own where those it has are taken', async () => {
    const [first, second] = [cluster.member(1), cluster.member(2)];
    const isolated = { config: { 'security.idmap.isolated': 'true' } };
    await first.create('i1', isolated);
    await cluster.sync();
    await second.create('i2', isolated);
    await cluster.sync();
    const base = (member: FakeMember, name: string) => member.get(InstanceCatalog).get('default', name).row.config['volatile.idmap.base'];
    expect(base(first, 'i1')).toBe(base(second, 'i2'));

    await move(1, 'i1', {});

    expect(base(second, 'i1')).not.toBe(base(second, 'i2'));
    const kept = base(second, 'i1');
    await move(2, 'i1', {});
    expect(base(first, 'i1')).toBe(kept);
  });
});

describe('with another name', () => {
  describeOperation<MoveInstanceParams>({
    definition: moveInstance,
    harness: async () => {
      const cluster = await FakeCluster.start(2);
      const [first, second] = [cluster.member(1), cluster.member(2)];
      await makeInstance(first);
      await cluster.sync();
      const { row } = second.get(InstanceCatalog).get('default', 'c1');
      const params: MoveInstanceParams = { ...home, id: row.id, type: 'container', from: 1, epoch: 1, snapshots: ['s0', 's1'], size: '', to: renamed };
      const arrived = async (): Promise<void> => {
        expect(at(second, renamed)).toEqual(whole(['s0', 's1']));
        await expect.poll(async () => { await cluster.sync(); return at(first, home); }).toEqual(nothing);
      };
      return {
        steps: stepsOf(second, moveInstance), transactions: second.transactions, database: second.database, feed: second.feed, member: second.host.member, close: () => cluster.close(), params,
        reserve: (tx) => second.get(ArrivingInstance).reserve(tx, row, home, renamed, params.snapshots, 1),
        assertDone: arrived,
        assertClean: async () => {
          if (at(second, renamed).instance) return arrived();
          expect([at(first, home), at(second, renamed)]).toEqual([whole(['s0', 's1']), nothing]);
        },
      };
    },
  });
});
