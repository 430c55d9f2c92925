import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeOperation } from '#platform/operations/testing';
import { VolumesRepository } from '../data/volumes.repository.js';
import { PoolsService } from '../pools.service.js';
import { makeVolume, StorageMember, volumeOf } from '../testing/storage-member.js';
import { VolumeRequests } from '../volume-requests.service.js';
import { VolumeUsage, type VolumeUser } from '../volume-usage.registry.js';
import { createVolume } from './create-volume.operation.js';
import { CustomVolumes } from './custom-volumes.service.js';
import { deleteVolume } from './delete-volume.operation.js';
import { renameVolume } from './rename-volume.operation.js';
import { updateVolume } from './update-volume.operation.js';
import { volumeKeyOf, type CreateVolumeParams, type RenameVolumeParams, type UpdateVolumeParams, type VolumeParams } from './volume-operation.params.js';

const params: VolumeParams = { pool: 'p1', project: 'default', name: 'v1', memberId: 1, contentType: 'filesystem' };

function traces(member: StorageMember, name = 'v1') {
  const row = member.get(VolumesRepository).find(member.database.read, volumeKeyOf({ ...params, name }));
  const volume = volumeOf(member, name);
  return { row: row?.state ?? 'none', size: row?.config['size'] ?? '', there: volume !== undefined, bytes: volume?.sizeBytes ?? 0 };
}

const absent = { row: 'none', size: '', there: false, bytes: 0 };
const present = { row: 'Created', size: '', there: true, bytes: 0 };

describeOperation<CreateVolumeParams>({
  definition: createVolume,
  harness: async () => {
    const member = await StorageMember.start();
    const create: CreateVolumeParams = { ...params, sizeBytes: 0 };
    return member.harness(createVolume, {
      params: create,
      reserve: (tx) => member.get(CustomVolumes).reserve(tx, create, { description: '', config: {} }),
      assertDone: () => expect(traces(member)).toEqual(present),
      assertClean: () => expect(traces(member)).toEqual(absent),
    });
  },
});

describeOperation<VolumeParams>({
  definition: deleteVolume,
  harness: async () => {
    const member = await StorageMember.start();
    await makeVolume(member);
    return member.harness(deleteVolume, {
      params,
      reserve: (tx) => {
        const volumes = member.get(VolumesRepository);
        volumes.setState(tx, volumes.get(tx.sql, volumeKeyOf(params)).id, 'Deleting');
      },
      assertDone: () => expect(traces(member)).toEqual(absent),
      // Data that is gone cannot be brought back; what is left is a volume that can be deleted again, or nothing.
      assertClean: () => {
        const found = traces(member);
        expect(found).toEqual(found.row === 'none' ? absent : { ...present, there: found.there });
      },
    });
  },
});

describeOperation<RenameVolumeParams>({
  definition: renameVolume,
  harness: async () => {
    const member = await StorageMember.start();
    await makeVolume(member);
    const rename: RenameVolumeParams = { ...params, newName: 'v2' };
    const expectMoved = (from: string, to: string): void => {
      expect(traces(member, from)).toEqual(absent);
      expect(traces(member, to)).toEqual(present);
    };
    return member.harness(renameVolume, {
      params: rename,
      reserve: (tx) => member.get(CustomVolumes).reserve(tx, { ...params, name: 'v2' }, { description: '', config: {} }),
      assertDone: () => expectMoved('v1', 'v2'),
      assertClean: () => expectMoved('v2', 'v1'),
    });
  },
});

describeOperation<UpdateVolumeParams>({
  definition: updateVolume,
  harness: async () => {
    const member = await StorageMember.start();
    await makeVolume(member, { config: { size: '10MiB' } });
    const mib = 2 ** 20;
    return member.harness(updateVolume, {
      params: { ...params, wanted: { description: '', config: { size: '20MiB' } }, former: { description: '', config: { size: '10MiB' } }, sizeBytes: 20 * mib, formerSizeBytes: 10 * mib },
      assertDone: () => expect(traces(member)).toEqual({ ...present, size: '20MiB', bytes: 20 * mib }),
      assertClean: () => expect(traces(member)).toEqual({ ...present, size: '10MiB', bytes: 10 * mib }),
    });
  },
});

describe('custom volumes', () => {
  let member: StorageMember;
  let volumes: CustomVolumes;
  beforeEach(async () => {
    member = await StorageMember.start();
    volumes = member.get(CustomVolumes);
  });
  afterEach(() => member.close());

  const key = (name = 'v1', pool = 'p1') => member.get(VolumeRequests).key(pool, 'custom', 'default', name);
  const show = (name = 'v1', pool = 'p1') => member.get(VolumeRequests).api(member.get(VolumeRequests).get(pool, 'custom', 'default', name));
  const users = (...list: Partial<VolumeUser>[]) => member.get(VolumeUsage).registerVolumeUsers((_sql, { name }) =>
    (name === 'v1' ? list.map((user) => ({ url: '/1.0/instances/c1', direct: true, running: false, ...user })) : []));

  it('are made, shown, changed, renamed and deleted, with an event each', async () => {
    await makeVolume(member, { description: 'd', config: { size: '10MiB', 'user.a': 'b' } });
    expect(show()).toMatchObject({ name: 'v1', type: 'custom', content_type: 'filesystem', config: { size: '10MiB', 'user.a': 'b' }, description: 'd', used_by: [], project: 'default', location: 'none' });

    await volumes.update(member.ctx(), key(), { config: { 'user.c': 'd', size: '5MiB' } }, { merge: true, ifMatch: undefined });
    expect(show()).toMatchObject({ description: 'd', config: { size: '5MiB', 'user.a': 'b', 'user.c': 'd' } });
    expect(traces(member).bytes).toBe(5 * 2 ** 20);
    await volumes.update(member.ctx(), key(), { description: 'e' }, { merge: false, ifMatch: undefined });
    expect(show()).toMatchObject({ description: 'e', config: {} });
    await volumes.rename(member.ctx(), key(), 'v2');
    await volumes.delete(member.ctx(), key('v2'));

    expect(traces(member, 'v2')).toEqual(absent);
    expect(member.seen).toEqual([
      'storage-volume-created /1.0/storage-pools/p1/volumes/custom/v1', 'storage-volume-updated /1.0/storage-pools/p1/volumes/custom/v1',
      'storage-volume-updated /1.0/storage-pools/p1/volumes/custom/v1', 'storage-volume-renamed /1.0/storage-pools/p1/volumes/custom/v2',
      'storage-volume-deleted /1.0/storage-pools/p1/volumes/custom/v2',
    ]);
  });

  it.each([
    [{ name: '' }, 'No name provided'],
    [{ name: 'a/b' }, 'Storage volume names may not contain slashes'],
    [{ name: 'a\0b' }, 'Invalid storage volume name'],
    [{ type: '' }, 'You must provide a storage volume type of the storage volume'],
    [{ type: 'container' }, 'Currently not allowed to create storage volumes of type "container"'],
    [{ content_type: 'iso' }, 'Invalid volume content type name'],
    [{ config: { foo: 'bar' } }, 'Invalid option for volume "default_v1" option "foo"'],
    [{ config: { size: 'x' } }, 'Invalid value for volume "default_v1" option "size": Invalid value: x'],
    [{ content_type: 'block', config: { 'security.shifted': 'true' } }, 'Invalid option for volume "default_v1" option "security.shifted"'],
  ])('refuse %j in the words of LXD', async (request, message) => {
    await expect(makeVolume(member, request)).rejects.toThrow(message);
    expect(traces(member)).toEqual(absent);
  });

  it('refuse a name that is taken, to be made and to be given', async () => {
    await makeVolume(member);
    await makeVolume(member, { name: 'v2' });

    await expect(makeVolume(member)).rejects.toMatchObject({ kind: 'conflict', message: 'Volume by that name already exists' });
    await expect(volumes.rename(member.ctx(), key(), 'v2')).rejects.toMatchObject({ kind: 'conflict', message: 'Volume by that name already exists' });
  });

  it('leave nothing when the host refuses, and stay when it refuses to change them', async () => {
    member.faults.fail('storage.createVolume');
    await expect(makeVolume(member)).rejects.toThrow();
    expect(traces(member)).toEqual(absent);

    await makeVolume(member);
    member.faults.fail('storage.destroyVolume');
    await expect(volumes.delete(member.ctx(), key())).rejects.toThrow();
    expect(traces(member)).toEqual(present);
  });

  it('take the defaults of their pool', async () => {
    await member.get(PoolsService).update(member.ctx(), 'd1', { config: { ...member.get(PoolsService).get('d1').config, 'volume.size': '20MiB', 'volume.security.shifted': 'true' } }, { merge: false, ifMatch: undefined });

    await makeVolume(member, { config: { 'user.a': 'b' } }, 'd1');
    await makeVolume(member, { name: 'v2', content_type: 'block' }, 'd1');

    expect(show('v1', 'd1').config).toEqual({ size: '20MiB', 'security.shifted': 'true', 'user.a': 'b' });
    expect(show('v2', 'd1')).toMatchObject({ content_type: 'block', config: { size: '20MiB' } });
  });

  it('are disks of ten GiB where nobody says otherwise, and grow only', async () => {
    await makeVolume(member, { content_type: 'block' });
    expect(traces(member).bytes).toBe(10 * 2 ** 30);

    await expect(volumes.update(member.ctx(), key(), { config: { size: '1GiB' } }, { merge: true, ifMatch: undefined })).rejects.toThrow('Block volumes cannot be shrunk: Cannot be shrunk');
    expect(show().config).toEqual({});
    await volumes.update(member.ctx(), key(), { config: { size: '11GiB' } }, { merge: true, ifMatch: undefined });
    expect(traces(member).bytes).toBe(11 * 2 ** 30);
  });

  it('are neither deleted while anybody uses them nor renamed under a running instance', async () => {
    await makeVolume(member);
    users({ running: true, direct: false });

    expect(show().used_by).toEqual([]);
    await expect(volumes.delete(member.ctx(), key())).rejects.toThrow('The storage volume is still in use');
    await expect(volumes.rename(member.ctx(), key(), 'v2')).rejects.toThrow('Volume is still in use by running instances');
    await expect(volumes.update(member.ctx(), key(), { config: { 'security.shifted': 'true' } }, { merge: true, ifMatch: undefined })).rejects.toThrow('Cannot modify shifting with running instances using the volume');
    await volumes.update(member.ctx(), key(), { config: { 'security.unmapped': 'true' } }, { merge: true, ifMatch: undefined });
  });

  it('are used by profiles, whose devices follow a new name', async () => {
    await makeVolume(member);
    users({});
    const followed: string[] = [];
    member.get(VolumeUsage).registerFollower((_tx, from, to) => void followed.push(`${from.name} ${to.name}`));
    await member.transactions.run(member.ctx(), (tx) => tx.sql.run(`UPDATE profiles SET devices = '{"d":{"type":"disk","pool":"p1","source":"v1","path":"/d"},"e":{"type":"disk","pool":"d1","source":"v1","path":"/e"}}' WHERE id = 1`));
    expect(show().used_by).toEqual(['/1.0/instances/c1', '/1.0/profiles/default']);

    await volumes.rename(member.ctx(), key(), 'v2');

    expect(JSON.parse(member.database.read.get<{ devices: string }>('SELECT devices FROM profiles WHERE id = 1')!.devices)).toMatchObject({ d: { source: 'v2' }, e: { source: 'v1' } });
    expect(followed).toEqual(['v1 v2']);
    expect(show('v2').used_by).toEqual(['/1.0/profiles/default']);
  });

  it('are not shown before they are there, nor while they go', async () => {
    await makeVolume(member);
    const repository = member.get(VolumesRepository);
    for (const state of ['Creating', 'Deleting'] as const) {
      await member.transactions.run(member.ctx(), (tx) => repository.setState(tx, repository.get(tx.sql, volumeKeyOf(params)).id, state));
      expect(member.get(VolumeRequests).list('p1', { project: 'default', allProjects: false })).toEqual([]);
      expect(() => show()).toThrow('Storage pool volume not found');
      await expect(makeVolume(member)).rejects.toThrow('Volume by that name already exists');
    }
  });
});
