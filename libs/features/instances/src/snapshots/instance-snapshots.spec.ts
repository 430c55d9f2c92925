import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstancePower } from '../instance-power.service.js';
import { InstanceRemoval } from '../instance-removal.service.js';
import { InstancesService } from '../instances.service.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import { SnapshotExpiryReconciler } from '../reconcile/snapshot-expiry.reconciler.js';
import { InstanceSnapshots } from './instance-snapshots.service.js';
import { SnapshotRequests } from './snapshot-requests.service.js';

let member: FakeMember;
beforeAll(async () => {
  member = await FakeMember.start();
  await member.create('c1', { config: { 'user.a': '1', 'snapshots.expiry': '1d' } });
});
afterAll(() => member.close());

const c1 = () => member.get(InstanceCatalog).get('default', 'c1');
const requests = () => member.get(SnapshotRequests);
const names = () => member.get(InstanceSnapshots).list(c1()).map(({ name }) => name);
const take = async (body: Parameters<SnapshotRequests['create']>[2] = {}) => settled(await requests().create(member.ctx(), c1(), body));
const refused = async (body: Parameters<SnapshotRequests['create']>[2]) => (await (await requests().create(member.ctx(), c1(), body)).wait()).err;

describe('snapshots', () => {
  it('are numbered, carry the configuration and end when the instance says', async () => {
    member.seen.length = 0;
    await take();
    await take();

    expect(names()).toEqual(['snap0', 'snap1']);
    expect(member.seen).toEqual(['instance-snapshot-created /1.0/instances/c1/snapshots/snap0', 'instance-snapshot-created /1.0/instances/c1/snapshots/snap1']);
    const snapshot = member.get(InstanceSnapshots).api(c1(), member.get(InstanceSnapshots).get(c1(), 'snap0'));
    expect(snapshot).toMatchObject({ name: 'snap0', config: { 'user.a': '1' }, expanded_devices: { root: { pool: 'default' } }, profiles: ['default'], stateful: false, size: -1 });
    expect(Date.parse(snapshot.expires_at) - Date.parse(snapshot.created_at)).toBeGreaterThan(86_000_000);
  });

  it('are kept when the request says so, and end when it says so', async () => {
    await take({ name: 'kept', expires_at: '0001-01-01T00:00:00Z' });
    await take({ name: 'until', expires_at: '2035-01-01T00:00:00Z' });

    const expiry = (name: string) => member.get(InstanceSnapshots).api(c1(), member.get(InstanceSnapshots).get(c1(), name)).expires_at;
    expect([expiry('kept'), expiry('until')]).toEqual(['0001-01-01T00:00:00Z', '2035-01-01T00:00:00Z']);
    const snapshot = member.get(InstanceSnapshots).get(c1(), 'until');
    await settled(await requests().update(member.ctx(), c1(), snapshot, {}, { ifMatch: undefined, merge: true }));
    expect(expiry('until')).toBe('2035-01-01T00:00:00Z');
    await settled(await requests().update(member.ctx(), c1(), snapshot, {}, { ifMatch: undefined, merge: false }));
    expect(expiry('until')).toBe('0001-01-01T00:00:00Z');
    await expect(requests().update(member.ctx(), c1(), snapshot, {}, { ifMatch: 'abc', merge: false })).rejects.toMatchObject({ kind: 'precondition' });
  });

  it('are refused in LXD\'s words', async () => {
    expect(await refused({ name: 'snap0' })).toBe('Failed creating instance snapshot record "snap0": Add snapshot info to the database: This "instances_snapshots" entry already exists');
    expect(await refused({ name: 'a b' })).toBe('Failed creating instance snapshot record "a b": Invalid instance snapshot name: Cannot contain space or / characters');
    expect(await refused({ name: '..' })).toMatch(/Invalid instance snapshot name/);
    expect(await refused({ name: 's', stateful: true })).toBe("Unable to create a stateful snapshot. The instance isn't running");
    await expect(requests().create(member.ctx(), c1(), { name: 'a/b' })).rejects.toThrow('Invalid snapshot name: Cannot contain "/"');
    expect(() => member.get(InstanceSnapshots).get(c1(), 'no')).toThrow('Failed to fetch snapshot "no" of instance "c1" in project "default": InstanceSnapshot not found');
    expect((await (await requests().restore(member.ctx(), c1(), 'no', false)).wait()).err).toBe('Snapshot c1/no does not exist');
    const snapshot = member.get(InstanceSnapshots).get(c1(), 'snap0');
    await expect(requests().rename(member.ctx(), c1(), snapshot, { name: 'snap1' })).rejects.toThrow("Name 'c1/snap1' already in use");
    expect(names()).toEqual(['snap0', 'snap1', 'kept', 'until']);
  });

  it('leave nothing when the host refuses', async () => {
    member.host.faults.fail('snapshots.createSnapshot');

    expect(await refused({ name: 'x' })).toBe('Create instance snapshot: Injected failure of snapshots.createSnapshot');
    expect(names()).not.toContain('x');
  });

  it('are restored with the instance running again afterwards', async () => {
    await member.get(InstancePower).start(member.ctx(), c1());
    member.seen.length = 0;

    await settled(await requests().restore(member.ctx(), c1(), 'snap0', false));

    expect(member.seen).toEqual(['instance-restored /1.0/instances/c1', 'instance-started /1.0/instances/c1']);
    expect((await member.instance('c1')).status).toBe('Running');
    await expect(member.get(InstancePower).start(member.ctx(), c1())).rejects.toThrow('already running');
    await member.get(InstancePower).stop(member.ctx(), c1(), { force: true, timeoutMs: 0 });
  });

  it('go when their time is over, and only those', async () => {
    await take({ name: 'past', expires_at: '2005-01-01T00:00:00Z' });
    await take({ name: 'future', expires_at: '2095-01-01T00:00:00+02:00' });
    const before = names();

    await member.get(SnapshotExpiryReconciler).run(new AbortController().signal);

    expect(names()).toEqual(before.filter((name) => name !== 'past'));
    await settled(await requests().delete(member.ctx(), c1(), member.get(InstanceSnapshots).get(c1(), 'future')));
  });

  it('show in the full list and go with their instance', async () => {
    const [full] = await member.get(InstancesService).listFull({ project: 'default', type: null, filter: undefined });
    expect(full?.snapshots?.map(({ name }) => name)).toEqual(['snap0', 'snap1', 'kept', 'until']);
    expect(member.get(InstanceSnapshots).urls(c1())[0]).toBe('/1.0/instances/c1/snapshots/snap0');
    member.seen.length = 0;

    await settled(await member.get(InstanceRemoval).schedule(member.ctx(), 'default', 'c1'));

    expect(member.seen).toEqual([
      ...['until', 'kept', 'snap1', 'snap0'].map((name) => `instance-snapshot-deleted /1.0/instances/c1/snapshots/${name}`), 'instance-deleted /1.0/instances/c1',
    ]);
    expect(member.database.read.all('SELECT id FROM instances_snapshots UNION ALL SELECT id FROM storage_volumes_snapshots')).toEqual([]);
  });
});
