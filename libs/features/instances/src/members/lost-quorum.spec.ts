import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OperationsService } from '#platform/operations';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceExec } from '../exec/instance-exec.service.js';
import { InstancePower } from '../instance-power.service.js';
import { InstancesService } from '../instances.service.js';
import { InstancesReconciler } from '../reconcile/instances.reconciler.js';
import { InstancePlacement } from './instance-placement.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import type { FakeMember } from '../testing/fake-member.js';

let cluster: FakeCluster;
let member: FakeMember;
beforeEach(async () => {
  cluster = await FakeCluster.start(2);
  member = cluster.member(2);
  await member.create('c1');
  await member.create('c2');
  await start('c1');
});
afterEach(async () => {
  cluster.log.silent = false;
  await cluster.close();
});

const find = (name: string) => member.get(InstanceCatalog).get('default', name);
const start = (name: string, force = false) => member.get(InstancePower).start(member.ctx(), find(name), { force });
const stop = (name: string) => member.get(InstancePower).stop(member.ctx(), find(name), { force: true, timeoutMs: 0 });
const list = async () => (await member.get(InstancesService).list({ project: 'default', type: null, filter: undefined })).map(({ name, status }) => `${name} ${status}`);

function loseQuorum(): void {
  cluster.log.silent = true;
  cluster.network.down.add(1);
}

describe('without a quorum', () => {
  it('what runs on this member is listed, entered, stopped and started (hazards D2)', async () => {
    loseQuorum();

    expect(await list()).toEqual(['c1 Running', 'c2 Stopped']);
    const exec = await member.get(InstanceExec).exec(member.ctx(), find('c1'), { command: ['true'] });
    expect((await exec.wait()).status).toBe('Success');
    await stop('c1');
    expect(await list()).toEqual(['c1 Stopped', 'c2 Stopped']);
    await start('c1');
    await member.get(InstancePower).restart(member.ctx(), find('c1'), { force: true, timeoutMs: 0 });
    expect(await list()).toEqual(['c1 Running', 'c2 Stopped']);
  });

  it('writes nothing for it, and appends the history once there is one', async () => {
    const before = cluster.log.entries.length;
    loseQuorum();
    await stop('c1');
    await start('c1');

    expect(cluster.log.entries.length).toBe(before);
    expect(member.get(MemberVolatileStore).get(find('c1').row.id).volatile['volatile.last_state.power']).toBe('RUNNING');
  });

  it('nothing is created, which is said at once', async () => {
    loseQuorum();

    await expect(member.get(InstancePlacement).create(member.ctx(), { name: 'c9', source: { type: 'none' } }, null, '')).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('nothing else is started unless by force (hazards B1)', async () => {
    loseQuorum();

    await expect(start('c2')).rejects.toThrow('Without a quorum only instances that ran here when there was one are started');
    expect(await list()).toEqual(['c1 Running', 'c2 Stopped']);
    await start('c2', true);
    expect(await list()).toEqual(['c1 Running', 'c2 Running']);
  });

  it('one that was stopped before it was lost is not started, one stopped since is', async () => {
    await stop('c1');
    loseQuorum();
    await expect(start('c1')).rejects.toThrow('Without a quorum');

    cluster.log.silent = false;
    await start('c1');
    cluster.log.silent = true;
    await stop('c1');
    await start('c1');
    cluster.log.silent = false;
    await stop('c1');
    // A start with a quorum in between forgets the permission.
    await start('c1');
    await stop('c1');
    cluster.log.silent = true;
    await expect(start('c1')).rejects.toThrow('Without a quorum');
  });

  it('an ephemeral instance stops, and goes once there is one', async () => {
    await member.create('e1', { ephemeral: true });
    await start('e1');
    loseQuorum();
    await stop('e1');
    expect(await list()).toContain('e1 Stopped');

    cluster.log.silent = false;
    await member.get(InstancesReconciler).run(new AbortController().signal);
    expect(await list()).toEqual(['c1 Running', 'c2 Stopped']);
  });
});

describe('a member that starts', () => {
  it('starts nothing by itself before the log was seen, then what ran (hazards B1)', async () => {
    member = await cluster.restart(2, async () => {
      await member.host.instances.stopInstance({ projectName: 'c1', clean: false, timeoutMs: 0 });
      loseQuorum();
    });
    await member.startUp();
    expect(member.host.faults.callsOf('instance.startInstance')).toBe(1);

    cluster.log.silent = false;
    await expect.poll(list, { timeout: 4000 }).toEqual(['c1 Running', 'c2 Stopped']);
  });

  it('does not start what went to another member while it was away', async () => {
    member = await cluster.restart(2, async () => {
      await member.host.instances.stopInstance({ projectName: 'c1', clean: false, timeoutMs: 0 });
      const other = cluster.member(1);
      await other.database.barrier(other.ctx());
      await other.transactions.run(other.ctx(), (tx) => tx.sql.run("UPDATE instances SET node_id = 1, placement_epoch = placement_epoch + 1 WHERE name = 'c1'"));
    });
    const stale = find('c1');

    await expect(member.get(InstancePower).start(member.ctx(), stale)).rejects.toThrow('Instance "c1" is not on this cluster member any more');
    await member.startUp();
    expect(member.host.faults.callsOf('instance.startInstance')).toBe(1);
    expect(member.get(OperationsService).list(null).filter((operation) => !operation.ended)).toEqual([]);
  });
});
