import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, LocalMember, SilentLogger } from '#kernel';
import { FakePeers } from '#ports/testing';
import { openTemporaryDatabase } from '#platform/database';
import { EventBus } from '#platform/events';
import { FakeFaults, FakeStorageDriver } from '#drivers/fake';
import { ClusterPools } from './cluster-pools.service.js';
import { VolumeEvents } from './custom/volume-events.js';
import { VolumeUsers } from './custom/volume-users.service.js';
import { PoolsRepository } from './data/pools.repository.js';
import { VolumeSnapshotsRepository } from './data/volume-snapshots.repository.js';
import { VolumesRepository } from './data/volumes.repository.js';
import { PoolParts } from './pool-parts.service.js';
import { PoolUsers } from './pool-users.service.js';
import { PoolsService } from './pools.service.js';
import { ownVolumes } from './testing/own-volumes.js';
import { VolumeRequests } from './volume-requests.service.js';
import { VolumeUsage } from './volume-usage.registry.js';
import { VolumesService } from './volumes.service.js';

const ctx = internalContext();
const fingerprint = 'a'.repeat(64);

class World {
  readonly faults = new FakeFaults();
  readonly host = new FakeStorageDriver(this.faults, { root: '/r' });
  readonly usage = new VolumeUsage();
  readonly events = new EventBus();
  readonly seen: string[] = [];
  parts!: PoolParts;
  pools!: PoolsService;
  volumes!: VolumesService;
  requests!: VolumeRequests;

  constructor(readonly db: Awaited<ReturnType<typeof openTemporaryDatabase>>) {
    this.host.images.add(fingerprint);
    this.events.subscribe({ types: ['lifecycle'], project: null }, (json) => {
      const { metadata } = JSON.parse(json) as { metadata: { action: string; source: string } };
      this.seen.push(`${metadata.action} ${metadata.source}`);
    });
    this.restart();
  }

  /** New services over the same rows and host, as a daemon that was killed finds them. */
  restart(): void {
    const { database, runner } = this.db;
    const [member, peers, logger] = [new LocalMember(), new FakePeers(), new SilentLogger()];
    const [pools, volumes] = [new PoolsRepository(member), new VolumesRepository(member)];
    const users = new PoolUsers(volumes, member);
    this.parts = new PoolParts(database, runner, pools, this.host, member, logger, peers, this.db.feed);
    const cluster = new ClusterPools(database, runner, pools, users, peers, member, this.events);
    this.pools = new PoolsService(database, runner, pools, this.parts, cluster, users, peers, member, this.events);
    this.volumes = new VolumesService(database, runner, volumes, this.pools, this.host, logger);
    this.volumes.onModuleInit();
    const projects = ownVolumes(database);
    const volumeUsers = new VolumeUsers(volumes, this.usage, projects);
    this.requests = new VolumeRequests(database, runner, volumes, this.pools, cluster, users, volumeUsers, projects, peers, new VolumeEvents(this.events), this.host);
  }

  create(name = 'p1', driver = 'btrfs', config: Record<string, string> = {}): Promise<void> {
    return this.pools.create(ctx, { name, driver, description: '', config });
  }

  async instance(name: string, pool = 'p1', project = 'default'): Promise<void> {
    const key = { pool, project, name, type: 'container' as const };
    await this.db.runner.run(ctx, (tx) => this.volumes.reserveInstanceVolume(tx, key));
    await this.volumes.createInstanceVolume(ctx, { ...key, imageFingerprint: fingerprint });
  }

  imageRows(): string[] {
    return this.db.database.read.all<{ name: string }>("SELECT name FROM storage_volumes WHERE type = 'image'").map(({ name }) => name);
  }
}

let world: World;
beforeEach(async () => { world = new World(await openTemporaryDatabase()); });
afterEach(() => world.db.close());

/** A promise that never settles: the process is "dead" from here on. */
const never = (): Promise<void> => new Promise(() => {});

describe('creating a pool', () => {
  it('stores what the host decided and announces it', async () => {
    await world.create('p1', 'btrfs', { size: '10GiB', 'user.a': 'b' });

    expect(world.pools.api(world.pools.get('p1'))).toEqual({
      name: 'p1', driver: 'btrfs', description: '', config: { size: '10GiB', source: '/r/disks/p1.img', 'user.a': 'b' },
      used_by: null, status: 'Created', locations: ['none'],
    });
    expect(world.seen).toEqual(['storage-pool-created /1.0/storage-pools/p1']);
  });

  it.each([
    ['', 'dir', {}, 'No name provided'],
    ['a/b', 'dir', {}, 'Storage pool names may not contain slashes'],
    ['x y', 'dir', {}, 'Storage name cannot contain white space'],
    ['..', 'dir', {}, 'Invalid storage pool name ".."'],
    ['p2', '', {}, 'No driver provided'],
    ['p2', 'nope', {}, 'Unknown driver'],
    ['p2', 'dir', { foo: 'bar' }, 'Invalid option "foo"'],
    ['p2', 'dir', { size: '10GiB' }, 'Invalid option "size"'],
    ['p2', 'dir', { 'volume.size': 'xx' }, 'Invalid value for option "volume.size": Invalid value: xx'],
    ['p2', 'btrfs', { 'rsync.compression': 'xx' }, 'Invalid value for option "rsync.compression": Invalid value for a boolean "xx"'],
    ['p2', 'btrfs', { 'volume.snapshots.expiry': 'zz' }, 'Invalid value for option "volume.snapshots.expiry": Invalid expiry expression'],
    ['p1', 'dir', { foo: 'bar' }, 'The storage pool already exists: The record already exists'],
  ])('refuses %j %j %j', async (name, driver, config, message) => {
    await world.create();

    await expect(world.create(name, driver, config)).rejects.toThrow(message);
    expect(world.pools.list().map((row) => row.name)).toEqual(['p1']);
  });

  it('leaves nothing when the host refuses', async () => {
    await expect(world.create('p1', 'dir', { source: '/nowhere' })).rejects.toThrow("Source path '/nowhere' doesn't exist");

    expect(world.pools.list()).toEqual([]);
    expect(world.host.pools.size).toBe(0);
  });

  it('is undone by the next start when the daemon died after the host had done its part', async () => {
    const commit = Promise.withResolvers<void>();
    const createPool = world.host.createPool.bind(world.host);
    world.host.createPool = async (pool) => { await createPool(pool); commit.resolve(); await never(); return pool; };
    void world.create().catch(() => {});
    await commit.promise;

    world.restart();
    await world.pools.mountAll();

    expect(world.pools.list()).toEqual([]);
    expect(world.host.pools.size).toBe(0);
  });
});

describe('changing a pool', () => {
  beforeEach(() => world.create('p1', 'btrfs', { size: '10GiB' }));

  it('merges a PATCH and replaces by a PUT', async () => {
    await world.pools.update(ctx, 'p1', { config: { size: '20GiB', 'user.x': 'y' }, description: 'd' }, { merge: true, ifMatch: undefined });
    await world.pools.update(ctx, 'p1', { config: { 'user.x': '' } }, { merge: true, ifMatch: undefined });
    expect(world.pools.get('p1')).toMatchObject({ description: 'd', config: { size: '20GiB', source: '/r/disks/p1.img' } });

    await world.pools.update(ctx, 'p1', { config: { source: '/r/disks/p1.img', size: '20GiB', 'volume.size': '1GiB' } }, { merge: false, ifMatch: undefined });
    expect(world.pools.get('p1')).toMatchObject({ description: '', config: { size: '20GiB', source: '/r/disks/p1.img', 'volume.size': '1GiB' } });
    expect(world.volumes.sizeBytes('p1', '')).toBe(2 ** 30);
  });

  it('refuses another source, unknown keys and a stale ETag', async () => {
    const update = (config: Record<string, string>, ifMatch?: string) => world.pools.update(ctx, 'p1', { config }, { merge: false, ifMatch });

    await expect(update({})).rejects.toThrow('Pool source cannot be changed when not in pending state');
    await expect(update({ foo: 'x' })).rejects.toThrow('Invalid option "foo"');
    await expect(update({}, 'stale')).rejects.toThrow("ETag doesn't match");
    await expect(world.pools.update(ctx, 'nope', {}, { merge: true, ifMatch: undefined })).rejects.toThrow('Storage pool not found');
  });

  it('keeps the row when the host refuses', async () => {
    await expect(world.pools.update(ctx, 'p1', { config: { size: '1GiB' } }, { merge: true, ifMatch: undefined })).rejects.toThrow('cannot be shrunk');

    expect(world.pools.get('p1').config['size']).toBe('10GiB');
  });
});

describe('deleting a pool', () => {
  beforeEach(() => world.create());

  it('removes rows and backing store', async () => {
    await world.pools.delete(ctx, 'p1');

    expect(world.pools.list()).toEqual([]);
    expect(world.host.pools.size).toBe(0);
    await expect(world.pools.delete(ctx, 'p1')).rejects.toThrow('Storage pool not found');
  });

  it('is refused while an instance or a profile uses it, but not for an unpacked image', async () => {
    await world.instance('c1');
    await expect(world.pools.delete(ctx, 'p1')).rejects.toThrow('The storage pool is currently in use');
    await world.volumes.destroyInstanceVolume({ pool: 'p1', project: 'default', name: 'c1', type: 'container' });
    await world.db.runner.run(ctx, (tx) => {
      world.volumes.releaseInstanceVolume(tx, { pool: 'p1', project: 'default', name: 'c1', type: 'container' });
      tx.sql.run(`UPDATE profiles SET devices = '{"root":{"type":"disk","path":"/","pool":"p1"}}'`);
    });
    expect(world.pools.api(world.pools.get('p1')).used_by).toEqual([`/1.0/images/${fingerprint}`, '/1.0/profiles/default']);
    await expect(world.pools.delete(ctx, 'p1')).rejects.toThrow('The storage pool is currently in use');

    await world.db.runner.run(ctx, (tx) => tx.sql.run("UPDATE profiles SET devices = '{}'"));
    await world.pools.delete(ctx, 'p1');
  });

  it('stays when the host fails, and can be tried again', async () => {
    world.faults.fail('storage.destroyPool');

    await expect(world.pools.delete(ctx, 'p1')).rejects.toThrow('Failed deleting storage pool "p1"');
    expect(world.pools.get('p1').state).toBe('Created');
    await world.pools.delete(ctx, 'p1');
  });

  it('is finished by the next start when the daemon died half way', async () => {
    const reached = Promise.withResolvers<void>();
    world.faults.before('storage.destroyPool', async () => { reached.resolve(); await never(); });
    void world.pools.delete(ctx, 'p1').catch(() => {});
    await reached.promise;
    world.faults.clear();

    world.restart();
    await world.pools.mountAll();

    expect(world.pools.list()).toEqual([]);
    expect(world.host.pools.size).toBe(0);
  });
});

describe('starting', () => {
  it('shows a pool that cannot be mounted as unavailable until it can', async () => {
    await world.create();
    world.faults.fail('storage.ensurePoolMounted');

    await world.pools.mountAll();
    expect(world.pools.api(world.pools.get('p1')).status).toBe('Unavailable');
    await world.parts.settleOpen();
    expect(world.pools.api(world.pools.get('p1')).status).toBe('Created');
  });

  it('brings rows and unpacked images together', async () => {
    await world.create();
    await world.instance('c1');
    const spec = world.pools.spec('p1');
    world.host.images.add('b'.repeat(64));
    await world.host.createVolume({ volume: { pool: spec, kind: 'image', name: 'b'.repeat(64) }, imageFingerprint: '', sizeBytes: 0 });
    await world.host.destroyVolume({ pool: spec, kind: 'image', name: fingerprint });

    await world.pools.mountAll();

    expect(world.imageRows()).toEqual([]);
    expect((await world.host.listVolumes(spec)).map(({ name }) => name)).toEqual(['c1']);
  });
});

describe('volumes of instances and images', () => {
  beforeEach(() => world.create());

  it('records an image when it is first unpacked, and never in a pool that does not clone', async () => {
    await world.create('d1', 'dir');
    await Promise.all([world.instance('c1'), world.instance('c2')]);
    await world.instance('c3', 'd1');

    expect(world.imageRows()).toEqual([fingerprint]);
    expect(world.volumes.poolsWithImage(fingerprint)).toEqual(['p1']);
  });

  it('records no image when unpacking it failed', async () => {
    world.faults.fail('storage.createVolume');

    await expect(world.instance('c1')).rejects.toThrow('Injected failure');
    expect(world.imageRows()).toEqual([]);
  });

  it('removes an image from all pools, and may be asked again', async () => {
    await world.create('p2');
    await world.instance('c1');
    await world.volumes.ensureImageVolume(ctx, 'p2', fingerprint);
    expect(world.imageRows()).toHaveLength(2);

    await world.volumes.removeImageVolumes(ctx, fingerprint);
    await world.volumes.removeImageVolumes(ctx, fingerprint);

    expect(world.imageRows()).toEqual([]);
    expect((await world.host.listVolumes(world.pools.spec('p2')))).toEqual([]);
  });

  it('refuses a name twice and a pool that is not there', async () => {
    await world.instance('c1');

    await expect(world.instance('c1')).rejects.toThrow('Volume by that name already exists');
    await expect(world.instance('c1', 'nope')).rejects.toThrow('Storage pool not found');
  });

  it('lists a project\'s volumes and the images, with who uses them', async () => {
    await world.instance('c1');
    await world.db.runner.run(ctx, (tx) => tx.sql.run("INSERT INTO projects (id, name) VALUES (9, 'web')"));
    await world.instance('c2', 'p1', 'web');
    const list = (project: string, allProjects = false, type?: string) =>
      world.requests.list('p1', { project, allProjects, type }).map((row) => `${row.type} ${row.project} ${row.name.slice(0, 4)}`);

    expect(list('default')).toEqual(['container default c1', 'image default aaaa']);
    expect(list('web')).toEqual(['container web c2', 'image default aaaa']);
    expect(list('default', true, 'container')).toEqual(['container default c1', 'container web c2']);
    expect(list('default', false, 'custom')).toEqual([]);
    expect(world.requests.api(world.requests.get('p1', 'container', 'web', 'c2'))).toMatchObject({ name: 'c2', project: 'web', used_by: ['/1.0/instances/c2?project=web'], location: 'none', content_type: 'filesystem' });
    expect(world.host.pools.get('p1')?.volumes.has('container/web_c2')).toBe(true);
    expect(() => list('nope')).toThrow('Project not found');
    expect(() => list('default', false, 'bogus')).toThrow('Invalid storage volume type name');
  });

  it('lists snapshots beside their volumes, and as users of the pool', async () => {
    await world.instance('c1');
    await world.instance('c10');
    await world.db.runner.run(ctx, (tx) => {
      const { id } = tx.sql.get<{ id: number }>("SELECT id FROM storage_volumes WHERE name = 'c1'")!;
      for (const name of ['s1', 'a2']) new VolumeSnapshotsRepository().insert(tx, id, { name, createdAt: tx.now.toISOString(), expiresAt: null });
    });
    const rows = world.requests.list('p1', { project: 'default', allProjects: false, type: 'container' });

    expect(rows.map(({ name }) => name)).toEqual(['c1', 'c1/a2', 'c1/s1', 'c10']);
    expect(world.requests.url(rows[2]!)).toBe('/1.0/storage-pools/p1/volumes/container/c1/snapshots/s1');
    expect(world.requests.api(rows[2]!)).toMatchObject({ name: 'c1/s1', used_by: ['/1.0/instances/c1/snapshots/s1'], location: 'none' });
    expect(world.pools.api(world.pools.get('p1')).used_by).toEqual([
      `/1.0/images/${fingerprint}`, '/1.0/instances/c1', '/1.0/instances/c1/snapshots/a2', '/1.0/instances/c1/snapshots/s1', '/1.0/instances/c10']);
  });

  it('changes what LXD lets clients change, and nothing else', async () => {
    await world.instance('c1');
    const c1 = world.requests.key('p1', 'container', 'default', 'c1');
    const image = world.requests.key('p1', 'image', 'web', fingerprint);

    await world.requests.replace(ctx, c1, { description: 'd', config: { 'user.x': 'y' } }, undefined);
    expect(world.requests.get('p1', 'container', 'default', 'c1')).toMatchObject({ description: 'd', config: { 'user.x': 'y' } });
    await expect(world.requests.replace(ctx, c1, { config: { size: '1GiB' } }, undefined)).rejects.toThrow('Volume "size" property is not valid for volume type');
    await expect(world.requests.replace(ctx, c1, { config: { foo: '1' } }, undefined)).rejects.toThrow('Invalid option for volume "c1" option "foo"');
    await expect(world.requests.replace(ctx, image, { config: { 'user.x': '1' } }, undefined)).rejects.toThrow('Volume config is not editable');
    await expect(world.requests.delete(ctx, c1)).rejects.toThrow('Storage volumes of type "container" cannot be deleted with the storage API');
    await world.requests.delete(ctx, image);
    expect(world.imageRows()).toEqual([]);
    expect(world.seen.at(-1)).toBe(`storage-volume-deleted /1.0/storage-pools/p1/volumes/images/${fingerprint}`);
  });

  it('tells a volume\'s usage where the driver can', async () => {
    await world.create('d1', 'dir');
    await world.instance('c1');
    await world.instance('c2', 'd1');

    expect(await world.requests.state('p1', 'container', 'default', 'c1')).toEqual({ usage: { used: 16384, total: 0 } });
    await expect(world.requests.state('d1', 'container', 'default', 'c2')).rejects.toThrow('Not supported');
    await expect(world.requests.state('p1', 'container', 'default', 'nope')).rejects.toThrow('Instance not found');
    await expect(world.requests.state('p1', 'image', 'default', fingerprint)).rejects.toThrow('Invalid storage volume type "image"');
  });
});
