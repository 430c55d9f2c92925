import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServerDirectories } from '#ports';
import type { FakeServerDirectories } from '#drivers/fake';
import { ServerConfig } from '#features/server';
import { AttachedVolumes } from './custom/attached-volumes.service.js';
import { CustomVolumeCopies } from './custom/copies/custom-volume-copies.service.js';
import { CustomVolumes } from './custom/custom-volumes.service.js';
import { VolumeSnapshotRequests } from './custom/snapshots/volume-snapshot-requests.service.js';
import { ServerVolumes } from './server-volumes.service.js';
import { makeVolume, StorageMember, succeeded, volumeOf } from './testing/storage-member.js';
import { VolumeRequests } from './volume-requests.service.js';
import { VolumeUsage } from './volume-usage.registry.js';

describe('volumes of the server itself', () => {
  let member: StorageMember;
  beforeEach(async () => {
    member = await StorageMember.start();
    await makeVolume(member);
  });
  afterEach(() => member.close());
  const set = (config: Record<string, string>) => member.get(ServerConfig).update(member.ctx(), config, { replace: false });
  const places = () => Object.fromEntries((member.get(ServerDirectories) as FakeServerDirectories).places);
  const key = (name = 'v1') => member.get(VolumeRequests).key('p1', 'custom', 'default', name);
  const backups = (value: string) => set({ 'storage.backups_volume': value });

  it.each([
    ['p', 'Invalid syntax for volume, must be <pool>/<volume>'], ['p1/', 'Invalid syntax for volume, must be <pool>/<volume>'], ['p1/v1/x', 'Invalid syntax for volume, must be <pool>/<volume>'],
    ['nope/v1', 'Unable to load storage pool "nope": Storage pool not found'], ['p1/nope', 'Failed loading storage volume "p1/nope" in "default" project: Storage volume not found'],
  ])('cannot be %s', async (value, message) => {
    await expect(backups(value)).rejects.toMatchObject({ kind: 'internal', message: `Failed validation of "storage.backups_volume": ${message}` });
    expect(places()).toEqual({});
  });

  it('have no snapshots, no content and no other users', async () => {
    const refused = (message: string) => expect(backups('p1/v1')).rejects.toThrow(`Failed validation of "storage.backups_volume": ${message}`);
    await makeVolume(member, { name: 'k1', content_type: 'block' });
    await expect(backups('p1/k1')).rejects.toThrow('Storage volume "p1/k1" in "default" project is not filesystem content type');
    volumeOf(member)!.content = 'something';
    await refused('Storage volume "p1/v1" isn\'t empty');
    await succeeded(member.get(VolumeSnapshotRequests).create(member.ctx(), key(), { name: 's0' }));
    await refused('Storage volumes for use by LXD itself cannot have snapshots');
    await makeVolume(member, { name: 'v2' });
    member.get(VolumeUsage).registerVolumeUsers((_sql, { name }) => (name === 'v2' ? [{ url: '/1.0/instances/c1', direct: true, running: false }] : []));
    await expect(backups('p1/v2')).rejects.toThrow('Storage volume "p1/v2" in "default" project is in use');
    expect(places()).toEqual({});
  });

  it('are shown as its own, and stay what they are', async () => {
    await backups('p1/v1');
    await makeVolume(member, { name: 'v2' });
    await makeVolume(member, { name: 'v1' }, 'd1');

    expect(places()).toEqual({ backups: 'p1/default_v1' });
    expect(member.get(VolumeRequests).api(member.get(VolumeRequests).get('p1', 'custom', 'default', 'v1')).used_by).toEqual(['/1.0']);
    expect(member.get(VolumeRequests).api(member.get(VolumeRequests).get('d1', 'custom', 'default', 'v1')).used_by).toEqual([]);
    await expect(member.get(CustomVolumes).delete(member.ctx(), key())).rejects.toThrow('The storage volume is still in use');
    await expect(member.get(CustomVolumes).rename(member.ctx(), key(), 'v3')).rejects.toThrow('Volume is used by LXD itself and cannot be renamed');
    await expect(member.get(VolumeSnapshotRequests).create(member.ctx(), key(), { name: '' })).rejects.toThrow('Volumes used by LXD itself cannot have snapshots');
    await expect(member.get(CustomVolumeCopies).move(member.ctx(), key(), { pool: 'd1', project: 'default', name: 'v9' })).rejects.toThrow('The storage volume is still in use');
    await expect(member.get(CustomVolumeCopies).refresh(member.ctx(), 'p1', 'default', 'v1', { pool: 'p1', name: 'v2' })).rejects.toThrow('The storage volume is still in use');
    expect(() => member.get(AttachedVolumes).check(member.database.read, { project: 'default', memberId: 1, pool: 'p1', source: 'v1', path: '/x' })).toThrow('Volumes used by LXD itself cannot be used by instances');
    await expect(set({ 'storage.images_volume': 'p1/v1' })).rejects.toThrow('Storage volume "p1/v1" in "default" project is in use');

    await backups('p1/v2');
    await member.get(CustomVolumes).delete(member.ctx(), key());
    await backups('');
    expect(places()).toEqual({});
  });

  it('are told from others without asking anybody else who may use them', async () => {
    let asked = 0;
    member.get(VolumeUsage).registerVolumeUsers(() => {
      asked++;
      return [];
    });
    const check = (source: string): void => member.get(AttachedVolumes).check(member.database.read, { project: 'default', memberId: 1, pool: 'p1', source, path: '/x' });

    check('v1');
    expect(asked).toBe(0);
    await backups('p1/v1');
    asked = 0;
    expect(() => check('v1')).toThrow('Volumes used by LXD itself cannot be used by instances');
    expect(asked).toBe(0);
  });

  it('are not used when the host refuses, and are settled with the next start', async () => {
    member.faults.fail('directories.placeDirectory');
    await expect(backups('p1/v1')).rejects.toThrow('directories.placeDirectory');
    expect(member.get(ServerConfig).get('storage.backups_volume')).toBe('');

    await backups('p1/v1');
    const directories = member.get(ServerDirectories) as FakeServerDirectories;
    directories.places.set('images', 'p1/default_v1');
    directories.places.delete('backups');
    await member.get(ServerVolumes).settle();
    expect(places()).toEqual({ backups: 'p1/default_v1' });
  });
});
