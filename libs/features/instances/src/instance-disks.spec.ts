import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstancePut } from '#api-types';
import { VolumeUsage, type VolumeKey } from '#features/storage';
import { InstanceCatalog } from './data/instance.catalog.js';
import { InstanceSpecs } from './instance-specs.js';
import { InstanceStateChanges } from './instance-state.service.js';
import { InstanceUpdate } from './instance-update.service.js';
import { FakeMember } from './testing/fake-member.js';

const volume: VolumeKey = { pool: 'default', project: 'default', name: 'v1', type: 'custom', memberId: 1 };
const disk = (source = 'v1', path = '/data') => ({ data: { type: 'disk', pool: 'default', source, path } });

describe('custom volumes as disks', () => {
  let member: FakeMember;
  let nextId = 9000;
  beforeEach(async () => {
    member = await FakeMember.start();
    await volumeRow('v1');
  });
  afterEach(() => member.close());

  const volumeRow = (name: string, config = '{}', contentType = 'filesystem') => member.transactions.run(member.ctx(), (tx) => tx.sql.run(
    `INSERT INTO storage_volumes (id, storage_pool_id, node_id, project_id, type, name, content_type, creation_date, state, config)
     SELECT ?, id, 1, 1, 'custom', ?, ?, '', 'Created', ? FROM storage_pools WHERE name = 'default'`, nextId++, name, contentType, config));
  const find = (name: string) => member.get(InstanceCatalog).get('default', name);
  const patch = (name: string, body: InstancePut) => member.get(InstanceUpdate).merge(member.ctx(), { project: 'default', name, body, ifMatch: undefined, merge: true });
  const start = async (name: string): Promise<string> => (await (await member.get(InstanceStateChanges).change(member.ctx(), find(name), { action: 'start' })).wait()).err;
  const users = () => member.get(VolumeUsage).volumeUsers(member.database.read, volume);

  it('are told to the host with what they are and how their ids appear', async () => {
    await volumeRow('raw', '{"security.unmapped":"true"}');
    await member.create('c1', { devices: { ...disk(), raw: { type: 'disk', pool: 'default', source: 'raw', path: '/raw' } } });

    expect(member.get(InstanceSpecs).build(find('c1')).volumes).toMatchObject([
      { device: 'data', volume: { kind: 'custom', name: 'default_v1' }, mapped: true }, { device: 'raw', volume: { kind: 'custom', name: 'default_raw' }, mapped: false },
    ]);
  });

  it('are refused in the words of LXD where a container cannot have them', async () => {
    await volumeRow('blk', '{}', 'block');
    await member.create('c1');

    const failed = 'Failed add validation for device "data": ';
    await expect(patch('c1', { devices: disk('nope') })).rejects.toThrow(`${failed}Failed loading custom volume: Storage volume not found`);
    await expect(patch('c1', { devices: { data: { type: 'disk', pool: 'nope', source: 'v1', path: '/d' } } })).rejects.toThrow(`${failed}Failed to get storage pool "nope": Storage pool not found`);
    await expect(patch('c1', { devices: disk('blk') })).rejects.toThrow(`${failed}Custom block volumes cannot be used on containers`);
    await expect(patch('c1', { devices: disk('v1', '') })).rejects.toThrow(`${failed}Custom filesystem volumes require a path to be defined`);
    await expect(member.create('c2', { devices: disk('nope') })).rejects.toThrow(`Failed initialising instance: ${failed}Failed loading custom volume: Storage volume not found`);
  });

  it('know who uses them, directly or by a profile, running or not, alike in memory and in a transaction', async () => {
    await member.create('c1', { devices: disk() });
    await member.create('c2');
    await member.transactions.run(member.ctx(), (tx) => tx.sql.run(`UPDATE profiles SET devices = json_set(devices, '$.data', json(?)) WHERE id = 1`, JSON.stringify(disk().data)));
    expect(await start('c2')).toBe('');

    const expected = [{ url: '/1.0/instances/c1', direct: true, running: false }, { url: '/1.0/instances/c2', direct: false, running: true }];
    expect(users()).toEqual(expected);
    await member.transactions.run(member.ctx(), (tx) => expect(member.get(VolumeUsage).volumeUsers(tx.sql, volume)).toEqual(expected));
  });

  it('are shared by instances with the same map, and by others only when they say so', async () => {
    await member.create('c1', { devices: disk() });
    await member.create('c2', { devices: disk() });
    await member.create('other', { config: { 'security.idmap.isolated': 'true' } });
    expect([await start('c1'), await start('c2'), await start('other')]).toEqual(['', '', '']);

    await expect(patch('other', { devices: disk() })).rejects.toThrow('Failed to start device "data": Failed mounting volume: Failed shifting storage volume "v1" of type "custom" on storage pool "default": Idmaps of container and storage volume are not identical');
    expect(users().map(({ url }) => url)).toEqual(['/1.0/instances/c1', '/1.0/instances/c2']);
    await member.transactions.run(member.ctx(), (tx) => tx.sql.run(`UPDATE storage_volumes SET config = '{"security.shifted":"true"}' WHERE name = 'v1'`));
    await patch('other', { devices: disk() });
  });

  it('are followed by the devices that name them', async () => {
    await member.create('c1', { devices: disk() });

    await member.transactions.run(member.ctx(), (tx) => member.get(VolumeUsage).follow(tx, volume, { ...volume, pool: 'p2', name: 'v2' }));

    expect(find('c1').row.devices['data']).toEqual({ type: 'disk', pool: 'p2', source: 'v2', path: '/data' });
  });
});
