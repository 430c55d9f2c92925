import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { InstanceCreation } from './instance-creation.service.js';
import { InstancesService } from './instances.service.js';
import { anyTree, FakeMember, settled } from './testing/fake-member.js';

let member: FakeMember;
beforeAll(async () => { member = await FakeMember.start(); });
afterAll(() => member.close());
afterEach(() => { member.seen.length = 0; });

const list = (filter?: string) => member.get(InstancesService).listUrls(anyTree, { project: 'default', type: null, filter });

describe('creating an instance', () => {
  it('allocates what lasts, says so, and does not start it', async () => {
    await member.create('c1', { description: 'first', config: { 'user.b': '2', 'user.a': '1', 'user.none': '' } });

    const instance = await member.instance('c1');
    expect(instance).toMatchObject({ status: 'Stopped', status_code: 102, profiles: ['default'], description: 'first', type: 'container', last_used_at: '1970-01-01T00:00:00Z' });
    expect(Object.keys(instance.config)).toEqual([
      'user.a', 'user.b', 'volatile.apply_template', 'volatile.cloud-init.instance-id', 'volatile.idmap.base', 'volatile.idmap.next', 'volatile.last_state.idmap', 'volatile.uuid',
    ]);
    expect(instance.expanded_devices).toEqual({ root: { path: '/', pool: 'default', type: 'disk' } });
    expect(member.events.at(-1)).toEqual({ action: 'instance-created', source: '/1.0/instances/c1', context: { 'storage-pool': 'default', type: 'container' } });
  });

  it('makes up a name', async () => {
    const operation = await settled(await member.get(InstanceCreation).create(member.ctx(), { source: { type: 'none' } }, null, null));

    const url = operation.resources?.['instances']?.[0] ?? '';
    expect(url).toMatch(/^\/1\.0\/instances\/[a-z]+-[a-z]+$/);
    expect(await list()).toContain(url);
  });

  it.each([
    ['a name that is taken', { name: 'c1' }, 'Failed creating instance record: Add instance info to the database: This "instances" entry already exists'],
    ['an unknown key', { config: { foo: 'bar' } }, 'Failed creating instance record: Unknown configuration key: foo'],
    ['a profile named twice', { profiles: ['default', 'default'] }, 'Failed creating instance record: Duplicate profile found in request'],
    ['no root disk', { profiles: [] }, 'Failed creating instance record: Failed initialising instance: Failed getting root disk: No root device could be found'],
    ['a device type that does not exist', { devices: { d: { type: 'zz' } } }, 'Failed creating instance record: Invalid device type zz'],
    ['a pool that does not exist', { devices: { root: { type: 'disk', path: '/', pool: 'no' } } }, 'Failed creating instance record: Failed initialising instance: Failed loading storage pool: Storage pool not found'],
    ['a foreign architecture', { architecture: 'aarch64' }, "Failed creating instance record: Requested architecture isn't supported by this host"],
    ['an image that does not exist', { source: { type: 'image', fingerprint: 'abcd' } }, 'Image not provided for instance creation'],
  ])('ends as a failed operation for %s, and leaves nothing', async (_, body, err) => {
    const before = member.database.read.all('SELECT name FROM instances UNION ALL SELECT name FROM storage_volumes');
    const operation = await (await member.get(InstanceCreation).create(member.ctx(), { name: 'x1', source: { type: 'none' }, ...body }, null, null)).wait();

    expect(operation).toMatchObject({ status: 'Failure', err, description: 'Creating instance' });
    expect(member.database.read.all('SELECT name FROM instances UNION ALL SELECT name FROM storage_volumes')).toEqual(before);
    expect(member.seen).toEqual([]);
  });

  it.each([
    ['a source type', { source: { type: 'foo' } }, 'Unknown source type foo'], ['a type', { type: 'foo' }, 'Invalid instance type'],
    ['an architecture', { architecture: 'foo' }, "Architecture isn't supported: foo"], ['a profile', { profiles: ['no'] }, 'Requested profile "no" doesn\'t exist'],
    ['an alias', { source: { type: 'image', alias: 'no' } }, 'Image alias not found'], ['properties', { source: { type: 'image', properties: { os: 'no' } } }, 'No matching image could be found'],
    ['a copy', { source: { type: 'copy', source: 'no' } }, 'Failed to fetch instance "no" in project "default": Instance not found'],
  ])('refuses at once %s it does not know', async (_, body, message) => {
    await expect(member.get(InstanceCreation).create(member.ctx(), { name: 'x1', source: { type: 'none' }, ...body }, null, null)).rejects.toThrow(message);
  });

  it('gives isolated instances ranges of their own', async () => {
    for (const name of ['i1', 'i2']) await member.create(name, { config: { 'security.idmap.isolated': 'true' } });

    const [first, second] = await Promise.all([member.instance('i1'), member.instance('i2')]);
    expect([first.config['volatile.idmap.base'], second.config['volatile.idmap.base']]).toEqual(['1065536', '1131072']);
  });

  it('ends as Failure, and leaves nothing, when the host refuses', async () => {
    member.host.faults.fail('storage.createVolume');

    await expect(member.create('x2')).rejects.toThrow('Failed creating instance: Injected failure of storage.createVolume');
    expect(await list('name eq x2')).toEqual([]);
    expect(member.database.read.get('SELECT 1 FROM storage_volumes WHERE name = ?', 'x2')).toBeUndefined();
    await member.create('x2');
  });
});

describe('listing', () => {
  it('asks the host once for the state of all', async () => {
    const service = member.get(InstancesService);
    const calls = member.host.faults.callsOf('instance.describeUsage');
    const full = await service.listFull({ project: 'default', type: null, filter: 'config.user.a eq 1' });

    // What a stopped one holds is counted where its pool has quotas.
    expect(full.map(({ name, state }) => [name, state?.status, state?.disk])).toEqual([['c1', 'Stopped', { root: { usage: 16_384 } }]]);
    expect(member.host.faults.callsOf('instance.describeUsage')).toBe(calls + 1);
    member.host.faults.fail('instance.describeUsage');
    expect((await service.listFull({ project: 'default', type: null, filter: 'config.user.a eq 1' }))[0]?.state).toMatchObject({ status: 'Stopped', disk: {} });
  });

  it('knows the types and projects', async () => {
    const service = member.get(InstancesService);

    expect(await service.listUrls({ collection: 'virtual-machines', type: 'virtual-machine' }, { project: 'default', type: 'virtual-machine', filter: undefined })).toEqual([]);
    expect(await service.listUrls({ collection: 'containers', type: 'container' }, { project: null, type: 'container', filter: 'name eq c1' })).toEqual(['/1.0/containers/c1']);
    await expect(service.get('default', 'c1', { collection: 'virtual-machines', type: 'virtual-machine' })).rejects.toThrow('Instance not found');
    await expect(service.get('default', 'c1/s0', anyTree)).rejects.toThrow('Invalid instance name');
  });
});
