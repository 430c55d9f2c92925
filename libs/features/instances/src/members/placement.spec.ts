import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { InstancesPost, Operation } from '#api-types';
import { InstanceRemoval } from '../instance-removal.service.js';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { FakeMember } from '../testing/fake-member.js';
import { OperationsService } from '#platform/operations';
import { InstancePlacement } from './instance-placement.service.js';

let cluster: FakeCluster;
beforeAll(async () => { cluster = await FakeCluster.start(3); });
afterAll(() => cluster.close());
afterEach(async () => {
  await write("UPDATE nodes SET state = 'created', config = '{}'");
  cluster.network.unreachable.clear();
  cluster.network.down.clear();
  for (const member of cluster.members) {
    for (const { row } of member.get(InstanceCatalog).local()) await (await member.get(InstanceRemoval).schedule(member.ctx(), row.project, row.name)).done;
  }
  await cluster.sync();
});

async function write(sql: string, through = 1): Promise<void> {
  await cluster.member(through).transactions.run(cluster.member(1).ctx(), (tx) => tx.sql.run(sql));
  await cluster.sync();
}

/** Through a member; the operation as that member answered it, once it has ended. */
async function create(through: number, name: string, target = '', body: InstancesPost = {}): Promise<Operation> {
  const member = cluster.member(through);
  const operation = await member.get(InstancePlacement).create(member.ctx(), { name, source: { type: 'none' }, ...body }, null, target);
  const answered = operation.api() as Operation;
  const owner = cluster.members.find(({ host }) => host.member.name === answered.location)!;
  const ended = await owner.get(OperationsService).get(operation.id).wait();
  await cluster.sync();
  return ended;
}
const location = (name: string): string | undefined => cluster.member(1).get(InstanceCatalog).find('default', name)?.row.location;

describe('an instance asked for through any member', () => {
  it('goes to the member with the fewest, whose operation it is', async () => {
    const operations = [await create(3, 'a1'), await create(3, 'a2'), await create(1, 'a3'), await create(2, 'a4')];

    expect(operations.map(({ status, location: at }) => `${status} ${at}`)).toEqual(['Success m1', 'Success m2', 'Success m3', 'Success m1']);
    expect(['a1', 'a2', 'a3', 'a4'].map(location)).toEqual(['m1', 'm2', 'm3', 'm1']);
    expect(cluster.members.map(({ host }) => host.instances.instances.size)).toEqual([2, 1, 1]);
  });

  it('goes where it is told to, through any member', async () => {
    expect(await create(1, 'a1', 'm3')).toMatchObject({ status: 'Success', location: 'm3' });
    expect(await create(3, 'a2', 'm3')).toMatchObject({ status: 'Success', location: 'm3' });
  });

  it('does not go all to one member when several are asked for at once', async () => {
    await Promise.all(['a1', 'a2', 'a3'].map((name) => create(1, name)));

    expect(['a1', 'a2', 'a3'].map(location).sort()).toEqual(['m1', 'm2', 'm3']);
  });

  it('keeps to the members of a group', async () => {
    await write("INSERT INTO cluster_groups (id, name) VALUES (7, 'g1')");
    await write('INSERT INTO nodes_cluster_groups (node_id, group_id) VALUES (2, 7)');
    await write(`UPDATE nodes SET config = '{"scheduler.instance":"group"}' WHERE id = 2`);

    expect([(await create(1, 'a1', '@g1')).location, (await create(1, 'a2', '@g1')).location, (await create(1, 'a3')).location]).toEqual(['m2', 'm2', 'm1']);
    await expect(create(1, 'a4', '@nope')).rejects.toThrow('Cluster group "nope" doesn\'t exist');
  });

  it('passes over members that are offline, evacuated or manual', async () => {
    cluster.network.down.add(1);
    await write("UPDATE nodes SET state = 'evacuated' WHERE id = 2");

    expect((await create(3, 'a1')).location).toBe('m3');
    await write(`UPDATE nodes SET config = '{"scheduler.instance":"manual"}' WHERE id = 3`);
    await expect(create(3, 'a2')).rejects.toThrow('No suitable cluster member could be found');
    expect((await create(3, 'a2', 'm3')).location).toBe('m3');
  });

  it.each([
    ['is not there', 'nope', 'Cluster member not found'], ['is evacuated', 'm2', 'Cluster member is evacuated'],
  ])('is refused in LXD\'s words when the target %s', async (_, target, message) => {
    await write("UPDATE nodes SET state = 'evacuated' WHERE id = 2");

    await expect(create(1, 'a1', target)).rejects.toThrow(message);
    expect(location('a1')).toBeUndefined();
  });

  it('fails where it runs, in the words of the member that tried', async () => {
    await create(1, 'a1', 'm2');

    expect(await create(1, 'a1', 'm3')).toMatchObject({ status: 'Failure', err: 'Failed creating instance record: Add instance info to the database: This "instances" entry already exists', location: 'm3' });
    await expect(create(1, 'a9', 'm3', { profiles: ['no'] })).rejects.toThrow('Requested profile "no" doesn\'t exist');
    cluster.network.unreachable.add(3);
    await expect(create(1, 'a9', 'm3')).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('is placed again when the choice no longer holds in the transaction', async () => {
    // m1 has not heard that m2 is being emptied.
    await create(1, 'a1', 'm1');
    await cluster.member(3).transactions.run(cluster.member(3).ctx(), (tx) => tx.sql.run("UPDATE nodes SET state = 'evacuated' WHERE id = 2"));

    expect((await create(1, 'a2')).location).toBe('m3');
    await write("UPDATE nodes SET state = 'created'");
    await cluster.member(3).transactions.run(cluster.member(3).ctx(), (tx) => tx.sql.run("UPDATE nodes SET state = 'evacuated' WHERE id = 2"));
    await expect(create(1, 'a3', 'm2')).rejects.toThrow('Cluster member is evacuated');
    expect(location('a3')).toBeUndefined();
  });
});

describe('a member that stands alone', () => {
  it('knows no targets', async () => {
    const member = await FakeMember.start();

    await expect(member.get(InstancePlacement).create(member.ctx(), { name: 'c1', source: { type: 'none' } }, null, 'm1')).rejects.toThrow('Target only allowed when clustered');
    await member.close();
  });
});
