import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { PoolsService } from '#features/storage';
import { BackupYaml } from '../backups/backup-yaml.service.js';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import { Recovery } from './recovery.service.js';

let member: FakeMember;
const find = (name: string) => member.get(InstanceCatalog).get('default', name);
const known = { pools: [{ name: 'default', driver: '', description: '', config: {} }] };
const lost = { name: 'c1', type: 'container', snapshotCount: 2, project: 'default', pool: 'default' };

/** What a database that was lost has forgotten; the host has not. */
async function forget(): Promise<void> {
  await member.transactions.run(member.ctx(), (tx) => {
    tx.sql.run("DELETE FROM instances WHERE name = 'c1'");
    tx.sql.run("DELETE FROM storage_volumes WHERE name = 'c1'");
  });
  await member.host.instances.destroyInstance('c1');
}

beforeEach(async () => {
  member = await FakeMember.start();
  await member.create('c1', { config: { 'user.mark': 'yes' }, description: 'mine' });
  for (const name of ['s1', 's0']) await settled(await member.get(SnapshotRequests).create(member.ctx(), find('c1'), { name }));
  await member.get(BackupYaml).settle(new AbortController().signal);
});
afterEach(() => member.close());

describe('recovery', () => {
  it('finds nothing where nothing is lost', async () => {
    expect(await member.get(Recovery).validate(known)).toEqual({ UnknownVolumes: null, DependencyErrors: null });
  });

  it('makes an instance known again by what its volume says, snapshots included', async () => {
    const [before, snapshots] = [find('c1').row, member.get(InstanceSnapshots).full(find('c1'))];
    await forget();

    expect(await member.get(Recovery).validate(known)).toEqual({ UnknownVolumes: [lost], DependencyErrors: null });
    await member.get(Recovery).import(member.ctx(), known);

    expect({ ...find('c1').row, id: before.id }).toEqual(before);
    expect(member.get(InstanceSnapshots).full(find('c1'))).toEqual(snapshots);
    expect(member.host.instances.instances.has('c1')).toBe(true);
    expect(await member.get(Recovery).validate(known)).toEqual({ UnknownVolumes: null, DependencyErrors: null });
  });

  it('says what is missing, and makes nothing before it is there', async () => {
    const files = member.host.archives.files;
    const key = 'default/container/c1//backup.yaml';
    files.set(key, files.get(key)!.replace('profiles:\n  - default', 'profiles:\n  - default\n  - extra'));
    await forget();

    expect(await member.get(Recovery).validate(known)).toEqual({ UnknownVolumes: [lost], DependencyErrors: ['Profile "extra" in project "default"'] });
    await expect(member.get(Recovery).import(member.ctx(), known)).rejects.toThrow('Profile "extra"');
    expect(member.get(InstanceCatalog).find('default', 'c1')).toBeUndefined();
  });

  it('takes the pool itself back', async () => {
    const { driver, config } = member.get(PoolsService).get('default');
    await forget();
    await member.transactions.run(member.ctx(), (tx) => { tx.sql.run("DELETE FROM storage_pools WHERE name = 'default'"); });
    const request = { pools: [{ name: 'default', driver, description: '', config: { ...config } }] };

    expect(await member.get(Recovery).validate(request)).toEqual({ UnknownVolumes: [lost], DependencyErrors: null });
    await member.get(Recovery).import(member.ctx(), request);

    expect(member.get(PoolsService).get('default')).toMatchObject({ driver, state: 'Created' });
    expect(find('c1').row.description).toBe('mine');
  });

  it('leaves the volume alone when the host refuses, and finds it again', async () => {
    await forget();
    member.host.faults.fail('instance.createInstance');

    await expect(member.get(Recovery).import(member.ctx(), known)).rejects.toThrow('instance.createInstance');

    expect(member.get(InstanceCatalog).find('default', 'c1')).toBeUndefined();
    expect(await member.get(Recovery).validate(known)).toEqual({ UnknownVolumes: [lost], DependencyErrors: null });
  });

  it('passes over what does not say what it is, and refuses what cannot be read', async () => {
    await forget();
    member.host.archives.files.delete('default/container/c1//backup.yaml');
    expect(await member.get(Recovery).validate(known)).toEqual({ UnknownVolumes: null, DependencyErrors: null });
    member.host.archives.files.set('default/container/c1//backup.yaml', 'a: [');
    await expect(member.get(Recovery).validate(known)).rejects.toThrow('Failed reading "backup.yaml" of volume "c1" in pool "default"');
  });

  it('takes ids back that LXD has shifted in custom volumes, as those of the instances that have them', async () => {
    const pool = member.get(PoolsService).spec('default');
    for (const name of ['default_v1', 'default_other', 'default_of-profile']) await member.host.storage.createVolume({ volume: { pool, kind: 'custom', name }, imageFingerprint: '', sizeBytes: 0 });
    await member.host.snapshots.createSnapshot({ pool, kind: 'custom', name: 'default_v1' }, 's0');
    const files = member.host.archives.files;
    const key = 'default/container/c1//backup.yaml';
    const described = parse(files.get(key)!) as { container: { config: object; devices: object } };
    const disk = (source: string) => ({ [source]: { type: 'disk', pool: 'default', source, path: `/${source}` } });
    Object.assign(described.container.config, { 'volatile.last_state.idmap': '[{"Isuid":true,"Isgid":true,"Hostid":100000,"Nsid":0,"Maprange":65536}]' });
    Object.assign(described.container, { devices: { ...described.container.devices, ...disk('v1') }, expanded_devices: { ...disk('of-profile') } });
    files.set(key, stringify(described));
    await forget();
    member.host.faults.fail('archives.unshiftVolume');

    await expect(member.get(Recovery).import(member.ctx(), known)).rejects.toThrow('archives.unshiftVolume');
    expect((await member.get(Recovery).validate(known)).UnknownVolumes).toHaveLength(4);
    await member.get(Recovery).import(member.ctx(), known);

    const idmap = [{ isUid: true, isGid: true, hostId: 100_000, nsId: 0, range: 65_536 }];
    expect(member.host.archives.unshifted.map(({ volume, ...rest }) => ({ name: volume.name, ...rest })).toSorted((a, b) => a.name.localeCompare(b.name)))
      .toEqual([{ name: 'default_of-profile', snapshots: [], idmap }, { name: 'default_v1', snapshots: ['s0'], idmap }]);
  });

  it('makes custom volumes known again, with their snapshots, whatever they hold', async () => {
    const pool = member.get(PoolsService).spec('default');
    const make = (name: string, block = false) => member.host.storage.createVolume({ volume: { pool, kind: 'custom', name, ...(block ? { block } : {}) }, imageFingerprint: '', sizeBytes: 0 });
    await make('default_a_b');
    await make('default_disk', true);
    await make('nobody_x');
    await make('strange');
    for (const name of ['s1', 's0']) await member.host.snapshots.createSnapshot({ pool, kind: 'custom', name: 'default_a_b' }, name);
    const unknown = (name: string, snapshotCount = 0, project = 'default') => ({ name, type: 'volume', snapshotCount, project, pool: 'default' });

    const found = await member.get(Recovery).validate(known);
    expect([found.UnknownVolumes?.toSorted((a, b) => a.name.localeCompare(b.name)), found.DependencyErrors]).toEqual([[unknown('a_b', 2), unknown('disk'), unknown('x', 0, 'nobody')], ['Project "nobody"']]);
    await expect(member.get(Recovery).import(member.ctx(), known)).rejects.toThrow('Project "nobody"');
    await member.host.storage.destroyVolume({ pool, kind: 'custom', name: 'nobody_x' });
    await member.get(Recovery).import(member.ctx(), known);

    const rows = member.database.read.all<{ name: string; content: string; state: string; snapshots: number }>(
      `SELECT v.name, v.content_type AS content, v.state, (SELECT count(*) FROM storage_volumes_snapshots s WHERE s.storage_volume_id = v.id) AS snapshots FROM storage_volumes v WHERE v.type = 'custom' ORDER BY v.name`);
    expect(rows).toEqual([{ name: 'a_b', content: 'filesystem', state: 'Created', snapshots: 2 }, { name: 'disk', content: 'block', state: 'Created', snapshots: 0 }]);
    expect(await member.get(Recovery).validate(known)).toEqual({ UnknownVolumes: null, DependencyErrors: null });
  });
});
