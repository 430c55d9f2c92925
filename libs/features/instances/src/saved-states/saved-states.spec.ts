import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InstanceStatePut, Operation } from '#api-types';
import { internal } from '#kernel';
import { PoolsService } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceStateChanges } from '../instance-state.service.js';
import { InstanceCreation } from '../instance-creation.service.js';
import { MoveRequests } from '../moves/move-requests.service.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import { LiveMoves } from './live-moves.service.js';

let member: FakeMember;
beforeEach(async () => {
  member = await FakeMember.start();
  await member.create('c1');
  await change({ action: 'start' });
  member.host.checkpoints.available = true;
  member.seen.length = 0;
});
afterEach(() => member.close());

const c1 = () => member.get(InstanceCatalog).get('default', 'c1');
const e1 = () => member.get(InstanceCatalog).get('default', 'e1');
const onHost = () => member.host.instances.instances.get('c1')!;
const written = () => [...member.host.checkpoints.written];
const snapshot = async (name: string) => (await member.get(SnapshotRequests).create(member.ctx(), c1(), { name, stateful: true })).wait();
const restore = async (name: string, stateful: boolean) => (await member.get(SnapshotRequests).restore(member.ctx(), c1(), name, stateful)).wait();

async function change(request: InstanceStatePut): Promise<Operation> {
  return (await member.get(InstanceStateChanges).change(member.ctx(), c1(), request)).wait();
}

describe('an instance stopped with its state', () => {
  it('says so, and goes on from there once', async () => {
    expect(await change({ action: 'stop', stateful: true, timeout: -1 })).toMatchObject({ status: 'Success' });
    expect(await member.instance('c1')).toMatchObject({ status: 'Stopped', stateful: true, config: { 'volatile.last_state.power': 'STOPPED' } });
    expect(written()).toEqual(['c1']);

    expect(await change({ action: 'start', stateful: true })).toMatchObject({ status: 'Success' });
    expect(onHost()).toMatchObject({ power: 'Running', restored: true });
    expect([(await member.instance('c1')).stateful, written()]).toEqual([false, []]);
    expect(member.seen).toEqual(['instance-stopped /1.0/instances/c1', 'instance-started /1.0/instances/c1']);
    await change({ action: 'stop', force: true });
    expect(await change({ action: 'start', stateful: true })).toMatchObject({ err: 'Container has no existing state to restore' });
  });

  it('drops it when it is started anew', async () => {
    await change({ action: 'stop', stateful: true });

    await change({ action: 'start' });
    expect(onHost()).toMatchObject({ power: 'Running', restored: false });
    expect([(await member.instance('c1')).stateful, written()]).toEqual([false, []]);
  });

  it('runs on as before when CRIU fails, and keeps its state when it does not come back', async () => {
    member.host.faults.fail('checkpoints.writeState', 1, internal('snapshot dump failed\n(00.01) Error (criu/x.c:1): no'));
    expect(await change({ action: 'stop', stateful: true })).toMatchObject({ err: 'snapshot dump failed\n(00.01) Error (criu/x.c:1): no' });
    expect(await member.instance('c1')).toMatchObject({ status: 'Running', stateful: false });

    await change({ action: 'stop', stateful: true });
    member.host.faults.fail('instance.startInstance', 1, internal('Migrate: no'));
    expect(await change({ action: 'start', stateful: true })).toMatchObject({ err: 'Migrate: no' });
    expect([await member.instance('c1'), written()]).toMatchObject([{ status: 'Stopped', stateful: true }, ['c1']]);
  });

  it('is refused without CRIU, in LXD\'s words', async () => {
    member.host.checkpoints.available = false;

    expect(await change({ action: 'stop', stateful: true })).toMatchObject({ err: "Unable to perform container live migration. CRIU isn't installed" });
    expect(await snapshot('s0')).toMatchObject({ err: "Unable to create a stateful snapshot. CRIU isn't installed" });
    expect((await member.instance('c1')).status).toBe('Running');
  });
});

describe('a snapshot with state', () => {
  it('leaves nothing in the instance, and is gone on from when asked', async () => {
    expect(await snapshot('s0')).toMatchObject({ status: 'Success' });
    expect(member.get(InstanceSnapshots).get(c1(), 's0')).toMatchObject({ stateful: true });
    expect([(await member.instance('c1')).stateful, written(), onHost().power]).toEqual([false, [], 'Running']);

    await change({ action: 'stop', stateful: true });
    expect(await restore('s0', true)).toMatchObject({ status: 'Success' });
    expect(onHost()).toMatchObject({ power: 'Running', restored: true });
    expect((await member.instance('c1')).stateful).toBe(false);
    expect(await restore('s0', false)).toMatchObject({ status: 'Success' });
    expect(onHost()).toMatchObject({ power: 'Running', restored: false });
  });

  it('makes copies that go on from it, when that is asked for', async () => {
    await snapshot('s0');
    const states: boolean[] = [];
    for (const [name, live] of [['c2', true], ['c3', false]] as const) {
      await settled(await member.get(InstanceCreation).create(member.ctx(), { name, source: { type: 'copy', source: 'c1/s0', live } }, null, null));
      states.push((await member.instance(name)).stateful);
    }

    expect(states).toEqual([true, false]);
  });

  it('is not made when CRIU fails', async () => {
    member.host.faults.fail('checkpoints.writeState', 1, internal('snapshot dump failed'));

    expect(await snapshot('s0')).toMatchObject({ err: 'snapshot dump failed' });
    expect(member.get(InstanceSnapshots).list(c1())).toEqual([]);
    expect((await member.instance('c1')).status).toBe('Running');
  });
});

describe('a live move', () => {
  it('takes what runs to another pool', async () => {
    await member.get(PoolsService).create(member.ctx(), { name: 'other', driver: 'dir', description: '', config: {} });

    await settled(await member.get(MoveRequests).withinMember(member.ctx(), c1(), { pool: 'other', migration: true, live: true }));
    expect(onHost()).toMatchObject({ power: 'Running', restored: true, spec: { rootVolume: { pool: { name: 'other' } } } });
    expect((await member.instance('c1')).stateful).toBe(false);
  });

  it('that is cut off by the end of the daemon goes on with the next one', async () => {
    const held = Promise.withResolvers<never>();
    void member.get(LiveMoves).around(member.ctx(), c1(), member.host.member.id, () => held.promise);
    await vi.waitFor(() => expect(c1().row.stateful).toBe(true));
    const { host } = member;
    await member.stop();

    member = await FakeMember.start(host);
    expect(onHost()).toMatchObject({ power: 'Running', restored: true });
  });

  it('is no end of one that is ephemeral', async () => {
    await member.get(PoolsService).create(member.ctx(), { name: 'other', driver: 'dir', description: '', config: {} });
    await member.create('e1', { ephemeral: true });
    await settled(await member.get(InstanceStateChanges).change(member.ctx(), e1(), { action: 'start' }));

    member.seen.length = 0;
    await settled(await member.get(MoveRequests).withinMember(member.ctx(), e1(), { pool: 'other', migration: true, live: true }));
    expect(member.host.instances.instances.get('e1')).toMatchObject({ power: 'Running', restored: true });
    expect(member.seen.filter((event) => event.startsWith('instance-s'))).toEqual(['instance-stopped /1.0/instances/e1', 'instance-started /1.0/instances/e1']);
    await settled(await member.get(InstanceStateChanges).change(member.ctx(), e1(), { action: 'stop', stateful: true }));
    expect(member.get(InstanceCatalog).find('default', 'e1')).toBeUndefined();
  });

  it('is refused without CRIU, in LXD\'s words', async () => {
    member.host.checkpoints.available = false;

    const moved = await (await member.get(MoveRequests).withinMember(member.ctx(), c1(), { pool: 'default', name: 'c2', migration: true, live: true })).wait();
    expect(moved.err).toBe("Unable to perform container live migration. CRIU isn't installed");
  });

  it('that fails leaves it running where it was', async () => {
    const moved = await (await member.get(MoveRequests).withinMember(member.ctx(), c1(), { pool: 'nowhere', migration: true, live: true })).wait();

    expect(moved.status).toBe('Failure');
    expect(onHost()).toMatchObject({ power: 'Running', restored: true, spec: { rootVolume: { pool: { name: 'default' } } } });
  });
});
