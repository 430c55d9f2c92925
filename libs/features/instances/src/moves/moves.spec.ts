import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceMoves } from '../instance-moves.js';
import { InstancePower } from '../instance-power.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { settled } from '../testing/fake-member.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';

let cluster: FakeCluster;
beforeAll(async () => { cluster = await FakeCluster.start(2); });
afterAll(() => cluster.close());

const at = (id: number) => cluster.member(id);
const instance = (id = 1) => at(id).get(InstanceCatalog).get('default', 'c1');
const volume = (id: number) => at(id).host.storage.pools.get('default')?.volumes.get('container/c1');
const move = (from: number, to: number) => at(from).get(InstanceMoves).move(at(from).ctx(), instance(from), to);

/** Where the instance is by every account. */
async function places() {
  await cluster.sync();
  return {
    row: instance().row.memberId,
    volumes: [1, 2].filter((id) => volume(id) !== undefined),
    hosts: [1, 2].filter((id) => at(id).host.instances.instances.has('c1')),
    rows: at(1).database.read.all<{ node_id: number }>("SELECT node_id FROM storage_volumes WHERE name = 'c1' ORDER BY node_id").map(({ node_id }) => node_id),
    open: at(1).database.read.all("SELECT kind FROM operations WHERE status IN ('Pending', 'Running', 'Cancelling')"),
  };
}
const on = (id: number) => ({ row: id, volumes: [id], hosts: [id], rows: [id], open: [] });

beforeEach(async () => {
  await at(1).create('c1', { config: { 'user.mark': 'one' } });
  volume(1)!.content = 'first';
  for (const name of ['s0', 's1']) await settled(await at(1).get(SnapshotRequests).create(at(1).ctx(), instance(), { name }));
  volume(1)!.content = 'second';
  await cluster.sync();
});
afterEach(async () => {
  for (const id of [1, 2]) at(id).host.faults.clear();
  cluster.network.unreachable.clear();
  const { row } = await places();
  const member = at(row);
  const { InstanceRemoval } = await import('../instance-removal.service.js');
  await settled(await member.get(InstanceRemoval).schedule(member.ctx(), 'default', 'c1'));
  await cluster.sync();
});

describe('a move to another member', () => {
  it('takes files, snapshots and what only the former member knew, and leaves nothing there', async () => {
    at(1).get(MemberVolatileStore).merge(instance().row.id, { 'volatile.last_state.idmap': '[1]', 'volatile.eth0.host_name': 'veth1' });

    await move(1, 2);

    expect(await places()).toEqual(on(2));
    expect([volume(2)?.content, [...volume(2)!.snapshots]]).toEqual(['second', [['s0', 'first'], ['s1', 'first']]]);
    expect(instance(2).row.placementEpoch).toBe(2);
    expect(at(2).get(MemberVolatileStore).get(instance().row.id).volatile).toEqual({ 'volatile.last_state.idmap': '[1]' });
    expect(at(1).get(MemberVolatileStore).get(instance().row.id).volatile).toEqual({});
    expect(at(2).host.instances.instances.get('c1')?.spec.placementEpoch).toBe(2);
    expect(at(2).database.read.all('SELECT name FROM storage_volumes_snapshots ORDER BY name')).toEqual([{ name: 's0' }, { name: 's1' }]);
    await move(2, 1);
    expect(await places()).toEqual(on(1));
    await at(1).get(InstancePower).start(at(1).ctx(), instance());
    await at(1).get(InstancePower).stop(at(1).ctx(), instance(), { force: true, timeoutMs: 0 });
  });

  it.each([
    [1, 'transfer.transferFormats'], [1, 'transfer.sendVolume'], [1, 'transfer.waitTransfer'], [2, 'transfer.transferFormats'], [2, 'transfer.receiveVolume'], [2, 'transfer.received'],
    [2, 'instance.createInstance'],
  ])('that fails at member %i in %s leaves the instance whole where it was', async (id, method) => {
    at(id).host.faults.fail(method);

    await expect(move(1, 2)).rejects.toThrow('Injected failure');

    expect(await places()).toEqual(on(1));
    expect(volume(1)).toMatchObject({ content: 'second' });
    await move(1, 2);
    expect(await places()).toEqual(on(2));
  });

  it('to a member that cannot be reached does nothing', async () => {
    cluster.network.unreachable.add(2);

    await expect(move(1, 2)).rejects.toMatchObject({ kind: 'unavailable' });

    expect(await places()).toEqual(on(1));
  });

  it('is refused while it runs', async () => {
    await at(1).get(InstancePower).start(at(1).ctx(), instance());

    await expect(move(1, 2)).rejects.toThrow('Unable to perform container live migration');

    await at(1).get(InstancePower).stop(at(1).ctx(), instance(), { force: true, timeoutMs: 0 });
    expect(await places()).toEqual(on(1));
  });

  it('keeps the former member from starting it until its end is seen, also when the wires are cut in the middle', async () => {
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const { promise: goOn, resolve: release } = Promise.withResolvers<void>();
    at(2).host.faults.before('transfer.received', async () => { reach(); await goOn; });
    const moving = move(1, 2);
    await reached;
    await cluster.sync();

    await expect(at(1).get(InstancePower).start(at(1).ctx(), instance())).rejects.toThrow('Instance is busy running');
    release();
    await moving;

    expect(await places()).toEqual(on(2));
  });

  it('waits for the former member to clean up before another instance of the name can come', async () => {
    const { promise: goOn, resolve: release } = Promise.withResolvers<void>();
    at(1).host.faults.before('storage.destroyVolume', () => goOn);
    const moving = move(1, 2);
    await expect.poll(async () => { await cluster.sync(); return instance().row.memberId; }).toBe(2);

    await expect(at(2).get(InstanceMoves).move(at(2).ctx(), instance(2), 1)).rejects.toThrow('Volume by that name already exists');
    release();
    await moving;

    expect(await places()).toEqual(on(2));
  });
});
