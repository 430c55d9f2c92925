import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, SilentLogger } from '#kernel';
import { openSharedDatabases, type SharedDatabase, type SharedDatabases } from '#platform/database/testing';
import { EventBus } from '#platform/events';
import { JoinParticipants } from '#features/cluster';
import { FakeFaults, FakeStorageDriver } from '#drivers/fake';
import { FakePeerNetwork } from '#ports/testing';
import { ClusterPools } from './cluster-pools.service.js';
import { VolumeEvents } from './custom/volume-events.js';
import { VolumeUsers } from './custom/volume-users.service.js';
import { PoolsRepository } from './data/pools.repository.js';
import { VolumesRepository } from './data/volumes.repository.js';
import { PoolJoin } from './pool-join.participant.js';
import { PoolParts } from './pool-parts.service.js';
import { PoolUsers } from './pool-users.service.js';
import { PoolsService } from './pools.service.js';
import { ownVolumes } from './testing/own-volumes.js';
import { VolumeRequests } from './volume-requests.service.js';
import { VolumeUsage } from './volume-usage.registry.js';
import { VolumesService } from './volumes.service.js';

const ctx = internalContext();
const fingerprint = 'a'.repeat(64);

/** Storage of one member, with a host of its own. */
class Member {
  readonly faults = new FakeFaults();
  readonly host: FakeStorageDriver;
  readonly participants = new JoinParticipants();
  parts!: PoolParts;
  pools!: PoolsService;
  volumes!: VolumesService;
  requests!: VolumeRequests;

  constructor(readonly shared: SharedDatabase, private readonly network: FakePeerNetwork) {
    this.host = new FakeStorageDriver(this.faults, { root: `/${shared.member.name}` });
    this.host.images.add(fingerprint);
    this.restart();
  }

  restart(): void {
    const { member, address, db: { database, runner, feed } } = this.shared;
    const peers = this.network.add({ id: member.id, name: member.name, address });
    const logger = new SilentLogger();
    const [pools, volumes] = [new PoolsRepository(member), new VolumesRepository(member)];
    const users = new PoolUsers(volumes, member);
    this.parts = new PoolParts(database, runner, pools, this.host, member, logger, peers, feed);
    const cluster = new ClusterPools(database, runner, pools, users, peers, member, new EventBus());
    this.pools = new PoolsService(database, runner, pools, this.parts, cluster, users, peers, member, new EventBus());
    this.volumes = new VolumesService(database, runner, volumes, this.pools, this.host, logger);
    const projects = ownVolumes(database);
    const volumeUsers = new VolumeUsers(volumes, new VolumeUsage(), projects);
    this.requests = new VolumeRequests(database, runner, volumes, this.pools, cluster, users, volumeUsers, projects, peers, new VolumeEvents(new EventBus()), this.host);
    new PoolJoin(database, runner, pools, this.parts, member, this.participants);
  }

  define(target: string, config: Record<string, string> = {}, driver = 'btrfs'): Promise<void> {
    return this.pools.create(ctx, { name: 'p1', driver, description: '', config }, target);
  }

  create(config: Record<string, string> = {}, driver = 'btrfs'): Promise<void> {
    return this.define('', config, driver);
  }

  show(target?: string): { status: string; config: Readonly<Record<string, string>>; locations: string[] } {
    const { status, config, locations } = this.pools.api(this.pools.get('p1', target), target);
    return { status, config, locations };
  }

  async volume(name: string): Promise<void> {
    const key = { pool: 'p1', project: 'default', name, type: 'container' as const };
    await this.shared.db.runner.run(ctx, (tx) => this.volumes.reserveInstanceVolume(tx, key));
    await this.volumes.createInstanceVolume(ctx, { ...key, imageFingerprint: fingerprint });
  }
}

let network: FakePeerNetwork;
let cluster: SharedDatabases;
let [a, b, c]: Member[] = [];
const everyone = () => [a, b, c] as [Member, Member, Member];

beforeEach(async () => {
  network = new FakePeerNetwork();
  cluster = await openSharedDatabases(3);
  [a, b, c] = cluster.members.map((shared) => new Member(shared, network));
});
afterEach(() => cluster[Symbol.asyncDispose]());

/** The pool `p1` on all members, as a client makes it. */
async function made(): Promise<void> {
  for (const name of ['m1', 'm2', 'm3']) await a!.define(name);
  await cluster.settle();
  await b!.create({ 'user.k': 'v' });
  await cluster.settle();
}

describe('creating a pool on several members', () => {
  it('takes a definition for each, then one request', async () => {
    await a!.define('m1');
    await cluster.settle();
    expect(b!.show()).toEqual({ status: 'Pending', config: {}, locations: ['m1'] });
    expect(b!.show('m2')).toMatchObject({ status: 'Unknown' });
    await b!.define('m3', { size: '5GiB' });
    await b!.define('m2');
    await cluster.settle();
    await c!.create({ 'user.k': 'v' });
    await cluster.settle();

    expect(a!.show()).toEqual({ status: 'Created', config: { 'user.k': 'v' }, locations: ['m1', 'm2', 'm3'] });
    expect(a!.show('m2')).toMatchObject({ status: 'Created', config: { 'user.k': 'v', source: '/m2/disks/p1.img' } });
    expect(a!.show('m3').config).toMatchObject({ size: '5GiB', source: '/m3/disks/p1.img' });
    expect(everyone().map(({ host }) => host.pools.has('p1'))).toEqual([true, true, true]);
  });

  it('refuses in LXD\'s words', async () => {
    await expect(a!.create()).rejects.toThrow('Pool not pending on any node (use --target <node> first)');
    await expect(a!.define('nope')).rejects.toThrow('Cluster member not found');
    await expect(a!.define('m1', { 'rsync.bwlimit': '1' })).rejects.toThrow('Config key "rsync.bwlimit" may not be used as member-specific key');
    await expect(a!.define('m1', { size: '1GiB' }, 'dir')).rejects.toThrow('Invalid option "size"');
    await a!.define('m1');
    await expect(a!.define('m1')).rejects.toThrow('The storage pool already defined on member "m1"');
    await expect(b!.define('m2', {}, 'dir')).rejects.toThrow('Storage pool already exists with a different driver');
    await expect(a!.create()).rejects.toThrow('Pool not defined on nodes: m2, m3');
    await a!.define('m2');
    await a!.define('m3');
    await expect(a!.create({}, 'dir')).rejects.toThrow('Requested storage pool driver "dir" doesn\'t match driver in existing database record "btrfs"');
    await expect(a!.create({ source: '/x' })).rejects.toThrow('Config key "source" is cluster member specific');
    network.down.add(3);
    await expect(a!.create()).rejects.toThrow('peer node 127.0.0.3:8443 is down');
    network.down.clear();
    await a!.create();
    await expect(a!.create()).rejects.toThrow('The storage pool is already created');
    await expect(a!.define('m1')).rejects.toThrow('Storage pool is not in pending state');
  });

  it('leaves an errored pool when a member refuses, which can be made again', async () => {
    for (const name of ['m1', 'm2', 'm3']) await a!.define(name, name === 'm2' ? { source: '/nowhere' } : {}, 'dir');
    await expect(a!.create({ 'user.k': 'v' }, 'dir')).rejects.toThrow("failed to notify peer 127.0.0.2:8443: Source path '/nowhere' doesn't exist");
    await cluster.settle();

    expect(c!.show()).toMatchObject({ status: 'Errored', config: { 'user.k': 'v' } });
    expect(['m1', 'm2', 'm3'].map((name) => c!.show(name).status)).toEqual(['Created', 'Pending', 'Created']);
    await expect(c!.create({ 'user.k': 'v' }, 'dir')).rejects.toThrow('Storage pool already partially created. Please do not specify any global config when re-running create');
    await c!.pools.update(ctx, 'p1', { config: { source: '' } }, { merge: true, ifMatch: undefined, target: 'm2' });
    await c!.create({}, 'dir');
    await cluster.settle();
    expect(a!.show()).toMatchObject({ status: 'Created', config: { 'user.k': 'v' } });
  });

  it('leaves an errored pool, which can be deleted, when a member dies half way', async () => {
    for (const name of ['m1', 'm2', 'm3']) await a!.define(name);
    await cluster.settle();
    const reached = Promise.withResolvers<void>();
    b!.faults.before('storage.createPool', async () => { reached.resolve(); await new Promise(() => {}); });
    void a!.create().catch(() => {});
    await reached.promise;
    await cluster.settle();
    expect(a!.show().status).toBe('Errored');
    b!.faults.clear();
    a!.restart();
    b!.restart();
    await b!.pools.mountAll();
    expect(b!.show('m2').status).toBe('Pending');

    await a!.pools.delete(ctx, 'p1');
    await cluster.settle();
    expect(everyone().map(({ host, pools }) => [host.pools.size, pools.list().length])).toEqual([[0, 0], [0, 0], [0, 0]]);
  });
});

describe('changing a pool of several members', () => {
  const update = (config: Record<string, string>, target = '', merge = true) => a!.pools.update(ctx, 'p1', { config }, { merge, ifMatch: undefined, target });
  beforeEach(made);

  it('tells all hosts what all have in common', async () => {
    await update({ 'btrfs.mount_options': 'noatime', 'user.k': '' });

    expect(a!.show().config).toEqual({ 'btrfs.mount_options': 'noatime' });
    expect(everyone().map(({ host }) => host.pools.get('p1')?.spec.config['btrfs.mount_options'])).toEqual(['noatime', 'noatime', 'noatime']);
    expect(c!.host.pools.get('p1')?.spec.config['source']).toBe('/m3/disks/p1.img');
    network.down.add(2);
    await expect(update({ 'user.k': 'x' })).rejects.toThrow('peer node 127.0.0.2:8443 is down');
  });

  it('changes the keys of one member on that member', async () => {
    await update({ size: '40GiB' }, 'm2');
    await cluster.settle();

    expect(['m1', 'm2'].map((name) => a!.show(name).config['size'])).toEqual(['30GiB', '40GiB']);
    expect(b!.host.pools.get('p1')?.spec.config['size']).toBe('40GiB');
    expect(a!.host.pools.get('p1')?.spec.config['size']).toBe('30GiB');
    expect(c!.show('m2').config['user.k']).toBe('v');
  });

  it('refuses in LXD\'s words', async () => {
    await expect(update({ source: '/zz' })).rejects.toThrow('Config key "source" is cluster member specific');
    await expect(update({ 'user.new': 'x' }, 'm2')).rejects.toThrow('Config key "user.new" may not be used as cluster member specific key');
    await expect(update({ source: '/zz' }, 'm2')).rejects.toThrow('Pool source cannot be changed when not in pending state');
    await expect(update({}, 'nope')).rejects.toThrow('Cluster member not found');
    await update({ 'user.k': 'v' }, 'm2');
  });

  it('refuses what all have in common while the pool is not made', async () => {
    await a!.pools.create(ctx, { name: 'p2', driver: 'dir', description: '', config: {} }, 'm1');
    await expect(a!.pools.update(ctx, 'p2', { config: { 'user.x': 'y' } }, { merge: true, ifMatch: undefined }))
      .rejects.toThrow('Cannot update storage pool global config when not in created state');
  });
});

describe('deleting a pool of several members', () => {
  beforeEach(made);

  it('clears all hosts', async () => {
    await c!.pools.delete(ctx, 'p1');
    await cluster.settle();

    expect(everyone().map(({ host, pools }) => [host.pools.size, pools.list().length])).toEqual([[0, 0], [0, 0], [0, 0]]);
  });

  it('is refused while an instance of another member uses it, and while a member is away', async () => {
    await b!.volume('c1');
    await cluster.settle();
    await expect(a!.pools.delete(ctx, 'p1')).rejects.toThrow('The storage pool is currently in use');
    await b!.shared.db.runner.run(ctx, (tx) => tx.sql.run("DELETE FROM storage_volumes WHERE name = 'c1'"));
    await cluster.settle();
    network.down.add(2);
    await expect(a!.pools.delete(ctx, 'p1')).rejects.toThrow('peer node 127.0.0.2:8443 is down');
    expect(a!.show().status).toBe('Created');
  });

  it('can be tried again, or undone by creating, when a host refuses', async () => {
    b!.faults.fail('storage.destroyPool');
    await expect(a!.pools.delete(ctx, 'p1')).rejects.toThrow('failed to notify peer 127.0.0.2:8443: Failed deleting storage pool "p1"');
    await cluster.settle();
    expect(c!.show()).toMatchObject({ status: 'Errored' });
    expect(['m1', 'm2', 'm3'].map((name) => c!.show(name).status)).toEqual(['Pending', 'Created', 'Pending']);

    await a!.create();
    await cluster.settle();
    expect(c!.show()).toMatchObject({ status: 'Created', config: { 'user.k': 'v' } });
    expect(c!.host.pools.has('p1')).toBe(true);
    await a!.pools.delete(ctx, 'p1');
  });

  it('is finished by those it was asked of when the member that asked died', async () => {
    network.down.add(99);
    const stuck = Promise.withResolvers<void>();
    for (const member of [b!, c!]) member.faults.before('storage.destroyPool', async () => { stuck.resolve(); await new Promise(() => {}); });
    void a!.pools.delete(ctx, 'p1').catch(() => {});
    await stuck.promise;
    for (const member of everyone()) {
      member.faults.clear();
      member.restart();
    }
    await cluster.settle();
    for (const member of everyone()) {
      await member.pools.mountAll();
      await cluster.settle();
    }

    expect(everyone().map(({ host, pools }) => [host.pools.size, pools.list().length])).toEqual([[0, 0], [0, 0], [0, 0]]);
  });
});

describe('joining and leaving', () => {
  beforeEach(made);

  it('gives a member its part of every pool, by what was given for it', async () => {
    const d = new Member(await cluster.join('pending'), network);
    await d.participants.join(ctx, [{ entity: 'storage-pool', name: 'p1', key: 'size', value: '7GiB', description: '' }]);
    await cluster.settle();

    expect(a!.show('m4')).toMatchObject({ status: 'Created', config: { size: '7GiB', source: '/m4/disks/p1.img' }, locations: ['m1', 'm2', 'm3', 'm4'] });
    await d.participants.join(ctx, []);
    await d.participants.leave(ctx);
    expect(d.host.pools.size).toBe(0);
  });

  it('leaves nothing on a host that refuses', async () => {
    const d = new Member(await cluster.join('pending'), network);
    d.faults.fail('storage.createPool');

    await expect(d.participants.join(ctx, [])).rejects.toThrow('Injected failure');
    expect(d.host.pools.size).toBe(0);
  });

  it('clears the host of a member whose rows are gone', async () => {
    await a!.shared.db.runner.run(ctx, (tx) => tx.sql.run('DELETE FROM nodes WHERE id = 3'));
    await cluster.settle();
    await c!.participants.leave(ctx);
    expect(c!.host.pools.size).toBe(0);
  });

  it('makes a pool it missed while it joined', async () => {
    const d = new Member(await cluster.join(), network);
    await d.parts.settleOpen();
    await cluster.settle();

    expect(a!.show('m4').status).toBe('Created');
  });
});

describe('volumes of several members', () => {
  beforeEach(made);

  it('are listed with their members, and reached through any', async () => {
    await a!.volume('c1');
    await cluster.settle();
    await b!.volume('c2');
    await cluster.settle();
    const rows = c!.requests.list('p1', { project: 'default', allProjects: false, type: 'container' });

    expect(rows.map(({ name, location }) => [name, location])).toEqual([['c1', 'm1'], ['c2', 'm2']]);
    expect(rows.map((row) => c!.requests.url(row))).toEqual([
      '/1.0/storage-pools/p1/volumes/container/c1?target=m1', '/1.0/storage-pools/p1/volumes/container/c2?target=m2']);
    expect(c!.requests.list('p1', { project: 'default', allProjects: false, target: 'm2' }).map(({ name }) => name)).toEqual(['c2', fingerprint]);
    expect(c!.requests.get('p1', 'container', 'default', 'c2').location).toBe('m2');
    expect(await c!.requests.state('p1', 'container', 'default', 'c2')).toEqual({ usage: { used: 16384, total: 0 } });
    expect(() => c!.requests.get('p1', 'image', 'default', fingerprint)).toThrow(`More than one cluster member has a volume named "${fingerprint}". Please target a specific member`);
    await c!.requests.delete(ctx, c!.requests.key('p1', 'image', 'default', fingerprint, 'm2'));
    expect(b!.host.pools.get('p1')?.volumes.has(`image/${fingerprint}`)).toBe(false);
    expect(a!.host.pools.get('p1')?.volumes.has(`image/${fingerprint}`)).toBe(true);
  });

  it('tell their space by member', async () => {
    await b!.volume('c1');
    expect((await a!.pools.resources('p1')).space.used).toBe(0);
    expect((await a!.pools.resources('p1', 'm2')).space.used).toBe(32768);
  });
});
