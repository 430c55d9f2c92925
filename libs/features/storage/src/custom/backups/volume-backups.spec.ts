import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { StoragePoolVolumeBackupsPost } from '#api-types';
import { StateDirectory } from '#kernel';
import { VolumeArchives } from '#ports';
import { describeOperation } from '#platform/operations/testing';
import { VolumeBackupRepository } from '../../data/volume-backup.repository.js';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeRow } from '../../data/volumes.repository.js';
import { makeVolume, StorageMember, succeeded, volumeOf } from '../../testing/storage-member.js';
import { CustomVolumes } from '../custom-volumes.service.js';
import { VolumeSnapshotRequests } from '../snapshots/volume-snapshot-requests.service.js';
import { volumeKeyOf } from '../volume-operation.params.js';
import { createVolumeBackup } from './create-volume-backup.operation.js';
import { importVolume } from './import-volume.operation.js';
import { VolumeBackupExpiryReconciler } from './volume-backup-expiry.reconciler.js';
import { VolumeBackupRequests } from './volume-backup-requests.service.js';
import type { CreateVolumeBackupParams, ImportVolumeParams } from './volume-backup.params.js';
import { VolumeDescription } from './volume-description.service.js';
import { VolumeImports } from './volume-imports.service.js';

const key = (name = 'v1', pool = 'p1') => volumeKeyOf({ pool, project: 'default', name, memberId: 1 });
const row = (member: StorageMember, name = 'v1', pool = 'p1'): VolumeRow => member.get(VolumesRepository).get(member.database.read, key(name, pool));
const directory = (member: StorageMember) => member.get(StateDirectory).backups;
const packed = (member: StorageMember) => (existsSync(`${directory(member)}/custom`) ? readdirSync(`${directory(member)}/custom`) : []);
const imported = (member: StorageMember) => readdirSync(directory(member)).filter((name) => name !== 'custom');

/** `v1` with a snapshot `s0`, whose contents are `two` and `one`. */
async function world(): Promise<StorageMember> {
  const member = await StorageMember.start();
  await makeVolume(member, { description: 'mine', config: { size: '10MiB', 'user.mark': 'yes' } });
  volumeOf(member)!.content = 'one';
  await succeeded(member.get(VolumeSnapshotRequests).create(member.ctx(), key(), { name: 's0', expiresAt: '2035-01-01T00:00:00Z' }));
  volumeOf(member)!.content = 'two';
  member.seen.length = 0;
  return member;
}

const make = async (member: StorageMember, request: StoragePoolVolumeBackupsPost = {}, volume = row(member)): Promise<string> =>
  (await (await member.get(VolumeBackupRequests).create(member.ctx(), volume, request)).wait()).err;

async function archive(member: StorageMember, request: StoragePoolVolumeBackupsPost = {}): Promise<string> {
  const requests = member.get(VolumeBackupRequests);
  expect(await make(member, { name: 'packed', ...request })).toBe('');
  const { body } = await requests.export(member.ctx(), row(member), requests.get(row(member), 'packed'), undefined) as unknown as { body: Readable };
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk as Buffer));
  await succeeded(requests.delete(member.ctx(), row(member), requests.get(row(member), 'packed')));
  return Buffer.concat(chunks).toString();
}

/** The archive with other words in its description. */
function told(text: string, ...changes: readonly (readonly [string, string])[]): string {
  const { index, ...rest } = JSON.parse(text) as { index: string };
  for (const [from] of changes) expect(index).toContain(from);
  return JSON.stringify({ index: changes.reduce((edited, [from, to]) => edited.replaceAll(from, to), index), ...rest });
}

const bring = (member: StorageMember, text: string, name = '', pool = 'p1', project = 'default') => member.get(VolumeImports).import(
  member.ctx(project), pool, { stream: Readable.from([Buffer.from(text)]), contentType: 'application/octet-stream', size: null, json: async () => undefined }, { 'x-lxd-name': name });

describe('backups of volumes', () => {
  let member: StorageMember;
  beforeAll(async () => { member = await world(); });
  afterAll(() => member.close());
  const requests = () => member.get(VolumeBackupRequests);
  const get = (name: string) => requests().get(row(member), name);

  it('are numbered, shown once they are whole, renamed and removed with their files', async () => {
    expect([await make(member), await make(member), await make(member, { name: 'own', volume_only: true, expires_at: '2035-01-01T00:00:00Z', optimized_storage: true })]).toEqual(['', '', '']);
    expect(requests().urls(row(member))).toEqual(['backup0', 'backup1', 'own'].map((name) => `/1.0/storage-pools/p1/volumes/custom/v1/backups/${name}`));
    expect(requests().api(get('own'))).toEqual({
      name: 'own', created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/), expires_at: '2035-01-01T00:00:00Z', volume_only: true, optimized_storage: true,
    });
    expect(packed(member)).toHaveLength(3);

    await succeeded(requests().rename(member.ctx(), row(member), get('own'), { name: 'other' }));
    await expect(succeeded(requests().rename(member.ctx(), row(member), get('other'), { name: 'backup0' }))).rejects.toThrow('Backup "v1/backup0" already exists');
    for (const name of ['backup0', 'backup1', 'other']) await succeeded(requests().delete(member.ctx(), row(member), get(name)));

    expect(packed(member)).toEqual([]);
    const path = '/1.0/storage-pools/p1/volumes/custom/v1/backups';
    expect(member.seen).toEqual([
      ...['backup0', 'backup1', 'own'].map((name) => `storage-volume-backup-created ${path}/${name}`), `storage-volume-backup-renamed ${path}/other`,
      ...['backup0', 'backup1', 'other'].map((name) => `storage-volume-backup-deleted ${path}/${name}`),
    ]);
  });

  it('say in their index what the volume is', async () => {
    const { index } = JSON.parse(await archive(member)) as { index: string };
    expect(parse(index)).toMatchObject({
      name: 'v1', backend: 'btrfs', pool: 'p1', snapshots: ['s0'], optimized: false, type: 'custom',
      config: { volume: { name: 'v1', type: 'custom', content_type: 'filesystem', description: 'mine', config: { size: '10MiB', 'user.mark': 'yes' } }, volume_snapshots: [{ name: 's0', expires_at: '2035-01-01T00:00:00Z' }] },
    });
    expect(parse((JSON.parse(await archive(member, { volume_only: true })) as { index: string }).index)).not.toHaveProperty('snapshots');
  });

  it('are refused in LXD\'s words, and leave nothing when the host fails', async () => {
    await make(member, { name: 'taken' });
    expect(await make(member, { name: 'taken' })).toBe('Create volume backup: Backup "v1/taken" already exists');
    await expect(make(member, { name: 'a/b' })).rejects.toThrow('Backup names may not contain slashes');
    await expect(make(member, { compression_algorithm: 'foo' })).rejects.toThrow('Invalid compression algorithm "foo"');
    for (const point of ['archives.packBackup', 'transfer.waitTransfer']) {
      member.faults.fail(point);
      expect(await make(member, { name: 'failing' })).toContain(point);
    }
    expect(() => get('failing')).toThrow('Storage volume backup not found');
    expect(packed(member)).toHaveLength(1);
    await succeeded(requests().delete(member.ctx(), row(member), get('taken')));
  });

  it('go when their time is over, stay with a volume that is renamed, and go with it', async () => {
    const expire = () => member.get(VolumeBackupExpiryReconciler).run(new AbortController().signal);
    await make(member, { name: 'past', expires_at: '2005-01-01T00:00:00Z' });
    await make(member, { name: 'future', expires_at: '2095-01-01T00:00:00Z' });
    await expire();
    expect(requests().list(row(member)).map(({ name }) => name)).toEqual(['future']);

    await makeVolume(member, { name: 'v2' });
    await make(member, { name: 'b' }, row(member, 'v2'));
    await member.get(CustomVolumes).rename(member.ctx(), key('v2'), 'v3');
    await expire();
    expect(requests().list(row(member, 'v3')).map(({ name }) => name)).toEqual(['b']);
    expect(packed(member)).toHaveLength(2);

    await member.get(CustomVolumes).delete(member.ctx(), key('v3'));
    await expire();
    expect(packed(member)).toEqual([String(get('future').id)]);
  });
});

describe('importing a backup of a volume', () => {
  let member: StorageMember;
  let text: string;
  beforeAll(async () => {
    member = await world();
    text = await archive(member);
  });
  afterAll(() => member.close());
  afterEach(() => expect.poll(() => imported(member)).toEqual([]));
  const absent = (name: string) => expect([member.get(VolumesRepository).find(member.database.read, key(name)), volumeOf(member, name)]).toEqual([undefined, undefined]);

  it('makes the volume again: files, configuration, snapshots', async () => {
    member.seen.length = 0;
    await succeeded(bring(member, text, 'v2'));

    expect([volumeOf(member, 'v2')?.content, [...volumeOf(member, 'v2')!.snapshots], volumeOf(member, 'v2')?.sizeBytes]).toEqual(['two', [['s0', 'one']], 10 * 2 ** 20]);
    const [one, two] = [row(member), row(member, 'v2')];
    expect([two.description, two.config, two.contentType]).toEqual([one.description, one.config, one.contentType]);
    const snapshots = (volume: VolumeRow) => member.get(VolumeSnapshotsRepository).list(member.database.read, volume.id).map((snapshot) => ({ ...snapshot, id: 0, volumeId: 0 }));
    expect(snapshots(two)).toEqual(snapshots(one));
    expect(member.seen).toEqual(['storage-volume-created /1.0/storage-pools/p1/volumes/custom/v2']);
  });

  it('into another pool, and of a disk', async () => {
    await succeeded(bring(member, text, '', 'd1'));
    expect(volumeOf(member, 'v1', 'd1')?.content).toBe('two');

    const disk = told(text, ['content_type: filesystem', 'content_type: block'], ['size: 10MiB', 'size: 20MiB'], ['user.mark: "yes"', 'security.shifted: "true"']);
    await succeeded(bring(member, disk, 'disk'));
    expect([row(member, 'disk').contentType, row(member, 'disk').config['size'], volumeOf(member, 'disk')?.sizeBytes]).toEqual(['block', '20MiB', 20 * 2 ** 20]);
  });

  it('takes shifted ids back, of each piece by itself, and says nothing of them any more', async () => {
    const map = (base: number): string => `'[{"Isuid":true,"Isgid":true,"Hostid":${base},"Nsid":0,"Maprange":65536}]'`;
    // The volume's first, then its snapshot's.
    const bases = [1_000_000, 2_000_000];
    const { index, ...rest } = JSON.parse(text) as { index: string };
    const shifted = index.replaceAll('user.mark: "yes"', () => `volatile.idmap.last: ${map(bases.shift()!)}`);
    await succeeded(bring(member, JSON.stringify({ index: shifted, ...rest }), 'v5'));

    expect(member.get(VolumeArchives)).toMatchObject({ lastUnpacked: { shifted: [
      { snapshot: 's0', idmap: [{ isUid: true, isGid: true, hostId: 2_000_000, nsId: 0, range: 65536 }] }, { snapshot: '', idmap: [{ isUid: true, isGid: true, hostId: 1_000_000, nsId: 0, range: 65536 }] },
    ] } });
    expect(row(member, 'v5').config).toEqual({ size: '10MiB' });
    await expect(succeeded(bring(member, told(text, ['user.mark: "yes"', 'volatile.idmap.last: "[{}]"']), 'x'))).rejects.toThrow('Invalid id map of the volume');
  });

  it.each([['junk', 'Unsupported compression'], ['', 'EOF'], [JSON.stringify({ index: 'a: [', content: '', snapshots: [] }), /^yaml: line 1: /]])('%j is refused at once', async (body, message) => {
    await expect(bring(member, body)).rejects.toThrow(message);
  });

  it('into no pool or project is refused at once', async () => {
    await expect(bring(member, text, 'x', 'nope')).rejects.toThrow('Storage pool not found: Storage pool not found');
    await expect(bring(member, text, 'x', 'p1', 'nope')).rejects.toThrow('Failed to load project "nope": Project not found');
  });

  it.each([['', 'v1', 'Volume by that name already exists'], ['a/b', 'a/b', 'Volume name may not be a snapshot'], ['a\0b', 'a\0b', 'Invalid storage volume name "a\0b"']])('as %j ends its operation', async (asked, name, message) => {
    await expect(succeeded(bring(member, text, asked))).rejects.toThrow(
      `Create custom volume from backup: Error inserting volume "${name}" for project "default" in pool "p1" of type "custom" into database "${message}"`);
  });

  it('with a description that leads elsewhere, or none, is refused', async () => {
    const refused = (from: string, to: string, message: string) => expect(succeeded(bring(member, told(text, [from, to]), 'x'))).rejects.toThrow(message);
    await refused('- s0', '- ../../../etc', 'Storage name cannot contain "/"');
    await refused('- s0', '- ".."', 'Invalid snapshot name ".."');
    await refused('- s0', '- s1', 'does not describe its snapshot "s1"');
    await refused('size: 10MiB', 'size: much', 'Invalid value for volume "default_x" option "size"');
    await refused('content_type: filesystem', 'content_type: tape', 'Invalid volume content type name');
    await expect(succeeded(bring(member, JSON.stringify({ index: 'name: x\n', content: '', snapshots: [] })))).rejects.toThrow('The backup does not describe its volume');
    absent('x');
  });

  it('of another driver\'s own kind is refused', async () => {
    const own = await archive(member, { optimized_storage: true });
    await expect(succeeded(bring(member, own, 'x', 'd1'))).rejects.toThrow('Optimized backup storage driver "btrfs" differs from the target storage pool driver "dir"');
    await succeeded(bring(member, own, 'v4'));
  });

  it('leaves nothing when the host fails', async () => {
    member.faults.fail('archives.unpackBackup');
    await expect(succeeded(bring(member, text, 'x'))).rejects.toThrow('archives.unpackBackup');
    absent('x');
  });
});

describeOperation<CreateVolumeBackupParams>({
  definition: createVolumeBackup,
  harness: async () => {
    const member = await world();
    const params: CreateVolumeBackupParams = { volumeId: row(member).id, backup: 'b0', backupId: 0, volumeOnly: false, optimized: false, compression: 'none' };
    const traces = () => ({ row: member.get(VolumeBackupRepository).find(params.volumeId, 'b0')?.state ?? 'none', files: packed(member).length });
    return member.harness(createVolumeBackup, {
      params,
      reserve: (tx) => { params.backupId = member.get(VolumeBackupRepository).insert(tx, params.volumeId, { name: 'b0', createdAt: '2026-01-01T00:00:00Z', expiresAt: null, alone: false, optimized: false }); },
      assertDone: () => expect(traces()).toEqual({ row: 'Created', files: 1 }),
      assertClean: () => expect(traces()).toEqual({ row: 'none', files: 0 }),
    });
  },
});

describeOperation<ImportVolumeParams>({
  definition: importVolume,
  harness: async () => {
    const member = await world();
    const index = JSON.stringify(member.get(VolumeDescription).index(row(member), { volumeOnly: false, optimized: false }));
    const path = `${directory(member)}/import-test`;
    writeFileSync(path, JSON.stringify({ index, content: 'two', snapshots: [['s0', 'one']] }));
    const params: ImportVolumeParams = {
      pool: 'p1', project: 'default', name: 'v2', memberId: 1, contentType: 'filesystem', archive: path, optimized: false, shifted: [], sizeBytes: 0,
      snapshots: [{ name: 's0', description: '', createdAt: '2026-01-01T00:00:00Z', expiresAt: null, config: {} }],
    };
    const traces = () => {
      const found = member.get(VolumesRepository).find(member.database.read, key('v2'));
      return {
        row: found?.state ?? 'none', rows: found === undefined ? 0 : member.get(VolumeSnapshotsRepository).list(member.database.read, found.id).length,
        volume: volumeOf(member, 'v2')?.content ?? 'none', snapshots: volumeOf(member, 'v2')?.snapshots.size ?? 0,
      };
    };
    return member.harness(importVolume, {
      params,
      reserve: (tx) => member.get(CustomVolumes).reserve(tx, params, { description: '', config: {} }),
      assertDone: () => expect(traces()).toEqual({ row: 'Created', rows: 1, volume: 'two', snapshots: 1 }),
      assertClean: () => expect(traces()).toEqual({ row: 'none', rows: 0, volume: 'none', snapshots: 0 }),
    });
  },
});
