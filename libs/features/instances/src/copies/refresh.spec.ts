import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeOperation } from '#platform/operations/testing';
import { OperationsService, type Step, type StepClass } from '#platform/operations';
import { SnapshotVolumes } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstanceCreation } from '../instance-creation.service.js';
import { InstancePower } from '../instance-power.service.js';
import { InstancePlacement } from '../members/instance-placement.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { settled, type FakeMember } from '../testing/fake-member.js';
import type { RefreshInstanceParams } from './copy-operation.params.js';
import { InstanceCopies } from './instance-copies.service.js';
import { refreshInstance } from './refresh-instance.operation.js';

const find = (member: FakeMember, name: string) => member.get(InstanceCatalog).get('default', name);
const volume = (member: FakeMember, name: string) => member.host.storage.pools.get('default')!.volumes.get(`container/${name}`)!;
const files = (member: FakeMember, name: string) => [volume(member, name).content, Object.fromEntries(volume(member, name).snapshots)];
const rows = (member: FakeMember, name: string) => member.get(InstanceSnapshotRepository).listByInstance(find(member, name).row.id);
const request = (more: object = {}) => ({ name: 'copy', source: { type: 'copy', source: 'c1', refresh: true, ...more } });
const refresh = async (member: FakeMember, more: object = {}) => settled(await member.get(InstanceCreation).create(member.ctx(), request(more), null, null));

async function snapshot(member: FakeMember, name: string, content: string): Promise<void> {
  volume(member, 'c1').content = content;
  await settled(await member.get(SnapshotRequests).create(member.ctx(), find(member, 'c1'), { name }));
}

async function removeSnapshot(member: FakeMember, name: string): Promise<void> {
  const instance = find(member, 'c1');
  await settled(await member.get(SnapshotRequests).delete(member.ctx(), instance, rows(member, 'c1').find((row) => row.name === name)!));
}

/** `c1` on the first member with a, b, c; a copy of it; then a is gone, b is another one and d is new. */
async function makeWorld(cluster: FakeCluster, target: FakeMember): Promise<void> {
  const first = cluster.member(1);
  await first.create('c1', { config: { 'user.mark': 'source' } });
  for (const [name, content] of [['a', '1'], ['b', '2'], ['c', '3']] as const) await snapshot(first, name, content);
  await cluster.sync();
  await settled(await target.get(InstanceCreation).create(target.ctx(), { ...request({ refresh: false }), config: { 'user.mark': 'copy' } }, null, null));
  await cluster.sync();
  for (const name of ['a', 'b']) await removeSnapshot(first, name);
  for (const [name, content] of [['b', '4'], ['d', '5']] as const) await snapshot(first, name, content);
  volume(first, 'c1').content = '6';
  await cluster.sync();
}

const before = ['3', { a: '1', b: '2', c: '3' }];
const after = ['6', { b: '4', c: '3', d: '5' }];

describe.each([1, 2])('a copy on member %i', (id) => {
  let cluster: FakeCluster;
  let member: FakeMember;
  beforeAll(async () => {
    cluster = await FakeCluster.start(2);
    member = cluster.member(id);
    await makeWorld(cluster, member);
  });
  afterAll(() => cluster.close());

  it('is refreshed with its source’s files and snapshots, and keeps its configuration', async () => {
    expect(files(member, 'copy')).toEqual(before);
    member.seen.length = 0;

    const operation = await refresh(member);

    expect(files(member, 'copy')).toEqual(after);
    expect(rows(member, 'copy').map((row) => [row.name, row.createdAt]).sort()).toEqual(rows(member, 'c1').map((row) => [row.name, row.createdAt]).sort());
    expect(member.get(SnapshotVolumes).names({ pool: 'default', project: 'default', name: 'copy', type: 'container' }).sort()).toEqual(['b', 'c', 'd']);
    expect(find(member, 'copy').row.config['user.mark']).toBe('copy');
    expect(operation.resources?.['instances']).toEqual(['/1.0/instances/copy', '/1.0/instances/c1']);
    expect(member.seen).toEqual(['deleted a', 'deleted b', 'created b', 'created d'].map((what) => {
      const [action, name] = what.split(' ');
      return `instance-snapshot-${action} /1.0/instances/copy/snapshots/${name}`;
    }));
    expect(volume(member, 'copy').formers.size).toBe(0);
  });

  it('is refreshed without snapshots when asked', async () => {
    volume(cluster.member(1), 'c1').content = '7';
    await snapshot(cluster.member(1), 'e', '7');
    await cluster.sync();

    await refresh(member, { instance_only: true });

    expect(files(member, 'copy')).toEqual(['7', after[1]]);
  });

  it('is refreshed wherever it is asked for', async () => {
    volume(cluster.member(1), 'c1').content = '8';
    const other = cluster.member(3 - id);

    const { id: operation } = await other.get(InstancePlacement).create(other.ctx(), request({ instance_only: true }), null, '');

    await member.get(OperationsService).list(null).find((one) => one.id === operation)?.done;
    expect(files(member, 'copy')[0]).toBe('8');
  });

  it('is not refreshed while it runs', async () => {
    await member.get(InstancePower).start(member.ctx(), find(member, 'copy'));

    await expect(refresh(member)).rejects.toThrow('Failed getting exclusive access to instance: Instance is running');
    await member.get(InstancePower).stop(member.ctx(), find(member, 'copy'), { force: true, timeoutMs: 0 });
  });

  it('is made where it is not there', async () => {
    await settled(await member.get(InstanceCreation).create(member.ctx(), { ...request(), name: 'new' }, null, null));

    expect(files(member, 'new')[0]).toBe('8');
  });
});

for (const target of [1, 2]) {
  describeOperation<RefreshInstanceParams>({
    definition: refreshInstance,
    timeoutMs: 20_000,
    harness: async () => {
      const cluster = await FakeCluster.start(2);
      const member = cluster.member(target);
      await makeWorld(cluster, member);
      const { source } = await member.get(InstanceCopies).resolve('default', request());
      const theirs = rows(member, 'c1');
      const { row } = find(member, 'copy');
      const params: RefreshInstanceParams = {
        id: row.id, project: 'default', name: 'copy', type: 'container', pool: 'default', source, bring: theirs.filter(({ name }) => name !== 'c'), drop: ['a', 'b'],
      };
      const seen = () => ({ files: files(member, 'copy'), rows: rows(member, 'copy').map(({ name, createdAt, state }) => `${name} ${createdAt} ${state}`).sort() });
      const [had, wanted] = [seen().rows, theirs.map(({ name, createdAt }) => `${name} ${createdAt} Created`).sort()];
      return {
        steps: refreshInstance.steps.map((type: StepClass<RefreshInstanceParams>) => member.get(type as unknown as abstract new () => Step<RefreshInstanceParams, unknown>)),
        transactions: member.transactions, database: member.database, feed: member.feed, member: member.host.member, close: () => cluster.close(), params,
        assertDone: () => expect({ ...seen(), kept: volume(member, 'copy').formers.size }).toEqual({ files: after, rows: wanted, kept: 0 }),
        // The last step drops what was there, and what fails after it cannot bring that back.
        assertClean: () => {
          const now = seen();
          expect(now.rows).toEqual(had);
          expect([before[0], after[0]]).toContain(now.files[0]);
          if (now.files[0] === before[0]) expect(now.files).toEqual(before);
        },
      };
    },
  });
}
