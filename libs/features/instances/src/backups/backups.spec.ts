import { readdirSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { OperationDefinition, Step, StepClass } from '#platform/operations';
import { describeOperation, type OperationHarness } from '#platform/operations/testing';
import { readBackupIndex, VolumesService } from '#features/storage';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceBackupRepository } from '../data/instance-backup.repository.js';
import { InstanceRepository } from '../data/instance.repository.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceUpdate } from '../instance-update.service.js';
import { InstanceRemoval } from '../instance-removal.service.js';
import { BackupExpiryReconciler } from '../reconcile/backup-expiry.reconciler.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import { BackupRequests } from './backup-requests.service.js';
import { BackupYaml } from './backup-yaml.service.js';
import type { CreateBackupParams } from './backup-operation.params.js';
import { createBackup } from './create-backup.operation.js';
import { DescribedRows } from './described-rows.service.js';
import { importInstance } from './import-instance.operation.js';
import type { ImportInstanceParams } from './import-operation.params.js';
import { InstanceDescription } from './instance-description.service.js';
import { InstanceImports } from './instance-imports.service.js';

const volumeOf = (name: string) => ({ pool: { name: 'default', driver: 'btrfs', config: {} }, kind: 'container', name } as const);
const find = (member: FakeMember, name: string) => member.get(InstanceCatalog).get('default', name);
const content = (member: FakeMember, name: string) => member.host.storage.pools.get('default')?.volumes.get(`container/${name}`);
const files = (member: FakeMember, below = '') => readdirSync(`${member.host.state.backups}${below}`).filter((name) => name !== 'instances');

/** `c1` with a snapshot `s0`, whose contents are `two` and `one`. */
async function world(): Promise<FakeMember> {
  const member = await FakeMember.start();
  await member.create('c1', { config: { 'user.mark': 'yes' }, description: 'mine' });
  member.host.storage.volume(volumeOf('c1')).content = 'one';
  await settled(await member.get(SnapshotRequests).create(member.ctx(), find(member, 'c1'), { name: 's0', expires_at: '2035-01-01T00:00:00Z' }));
  member.host.storage.volume(volumeOf('c1')).content = 'two';
  return member;
}

async function archive(member: FakeMember, body: Parameters<BackupRequests['create']>[2] = {}): Promise<string> {
  await settled(await member.get(BackupRequests).create(member.ctx(), find(member, 'c1'), { name: 'packed', ...body }));
  const backup = member.get(BackupRequests).get(find(member, 'c1'), 'packed');
  const response = await member.get(BackupRequests).export(find(member, 'c1'), backup, undefined) as unknown as { body: Readable };
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) chunks.push(Buffer.from(chunk as Buffer));
  await settled(await member.get(BackupRequests).delete(member.ctx(), find(member, 'c1'), backup));
  return Buffer.concat(chunks).toString();
}

const bring = (member: FakeMember, text: string, headers: Record<string, string> = {}, project = 'default') =>
  member.get(InstanceImports).import(member.ctx(project), { stream: Readable.from([Buffer.from(text)]), contentType: 'application/octet-stream', size: null, json: async () => undefined }, headers);

describe('backups', () => {
  let member: FakeMember;
  beforeAll(async () => { member = await world(); });
  afterAll(() => member.close());
  const requests = () => member.get(BackupRequests);
  const make = async (body: Parameters<BackupRequests['create']>[2]) => (await (await requests().create(member.ctx(), find(member, 'c1'), body)).wait()).err;

  it('are numbered, shown once they are whole, renamed and removed with their files', async () => {
    member.seen.length = 0;
    expect([await make({}), await make({}), await make({ name: 'own', instance_only: true, expires_at: '2035-01-01T00:00:00Z', optimized_storage: true })]).toEqual(['', '', '']);
    expect(requests().urls(find(member, 'c1'))).toEqual(['backup0', 'backup1', 'own'].map((name) => `/1.0/instances/c1/backups/${name}`));
    expect(requests().api(requests().get(find(member, 'c1'), 'own'))).toMatchObject({
      name: 'own', expires_at: '2035-01-01T00:00:00Z', instance_only: true, container_only: true, optimized_storage: true, created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
    expect(files(member, '/instances')).toHaveLength(3);

    await settled(await requests().rename(member.ctx(), find(member, 'c1'), requests().get(find(member, 'c1'), 'own'), { name: 'other' }));
    expect((await (await requests().rename(member.ctx(), find(member, 'c1'), requests().get(find(member, 'c1'), 'other'), { name: 'backup0' })).wait()).err).toBe('Backup "c1/backup0" already exists');
    for (const name of ['backup0', 'backup1', 'other']) await settled(await requests().delete(member.ctx(), find(member, 'c1'), requests().get(find(member, 'c1'), name)));

    expect(files(member, '/instances')).toEqual([]);
    expect(member.seen).toEqual([
      ...['backup0', 'backup1', 'own'].map((name) => `instance-backup-created /1.0/instances/c1/backups/${name}`), 'instance-backup-renamed /1.0/instances/c1/backups/other',
      ...['backup0', 'backup1', 'other'].map((name) => `instance-backup-deleted /1.0/instances/c1/backups/${name}`),
    ]);
  });

  it('are refused in LXD\'s words, and leave nothing when the host fails', async () => {
    await make({ name: 'taken' });
    expect(await make({ name: 'taken' })).toBe('Create backup: Backup "c1/taken" already exists');
    await expect(make({ name: 'a/b' })).rejects.toThrow('Backup names may not contain slashes');
    await expect(make({ compression_algorithm: 'foo' })).rejects.toThrow('Invalid compression algorithm "foo"');
    for (const point of ['archives.packBackup', 'transfer.waitTransfer']) {
      member.host.faults.fail(point);
      expect(await make({ name: 'failing' })).toContain(point);
    }
    expect(() => requests().get(find(member, 'c1'), 'failing')).toThrow('Load backup from database: Instance backup not found');
    expect(files(member, '/instances')).toHaveLength(1);
    await settled(await requests().delete(member.ctx(), find(member, 'c1'), requests().get(find(member, 'c1'), 'taken')));
  });

  it('go when their time is over, and with their instance', async () => {
    await make({ name: 'past', expires_at: '2005-01-01T00:00:00Z' });
    await make({ name: 'future', expires_at: '2095-01-01T00:00:00Z' });
    await member.get(BackupExpiryReconciler).run(new AbortController().signal);
    expect(requests().list(find(member, 'c1')).map(({ name }) => name)).toEqual(['future']);

    await settled(await bring(member, await archive(member), { 'x-lxd-name': 'gone' }));
    const gone = find(member, 'gone');
    await settled(await requests().create(member.ctx(), gone, { name: 'b' }));
    await settled(await member.get(InstanceRemoval).schedule(member.ctx(), 'default', 'gone'));
    await member.get(BackupExpiryReconciler).run(new AbortController().signal);
    expect(files(member, '/instances')).toEqual([String(requests().get(find(member, 'c1'), 'future').id)]);
  });
});

describe('importing a backup', () => {
  let member: FakeMember;
  let text: string;
  beforeAll(async () => {
    member = await world();
    text = await archive(member);
  });
  afterAll(() => member.close());
  afterEach(() => expect.poll(() => files(member)).toEqual([]));

  it('makes the instance again: files, configuration, times, snapshots', async () => {
    member.seen.length = 0;
    await settled(await bring(member, text, { 'x-lxd-name': 'c2' }));
    await new Promise((done) => setImmediate(done));

    const [one, two] = [find(member, 'c1').row, find(member, 'c2').row];
    expect([content(member, 'c2')?.content, [...content(member, 'c2')!.snapshots]]).toEqual(['two', [['s0', 'one']]]);
    expect({ ...two, id: 0, name: '' }).toEqual({ ...one, id: 0, name: '', config: { ...one.config, 'volatile.idmap.base': two.config['volatile.idmap.base'] } });
    const snapshots = member.get(InstanceSnapshots);
    const [before, after] = ['c1', 'c2'].map((name) => snapshots.api(find(member, name), snapshots.get(find(member, name), 's0')));
    expect(after).toEqual(before);
    expect(member.seen).toEqual(['instance-created /1.0/instances/c2', 'instance-snapshot-created /1.0/instances/c2/snapshots/s0']);
  });

  it.each([
    ['junk', {}, 'Unsupported compression'], ['', {}, 'EOF'], [JSON.stringify({ index: 'a: [', content: '', snapshots: [] }), {}, /^yaml: line 1: /],
    [JSON.stringify({ index: `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghi'].map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`).join('\n')}\n`, content: '', snapshots: [] }), {}, /alias/],
  ])('%j is refused at once', async (body, headers, message) => {
    await expect(bring(member, body, headers)).rejects.toThrow(message);
  });

  it.each([
    [{}, 'Create instance from backup: Cannot restore volume, already exists on target'],
    [{ 'x-lxd-name': 'a b' }, 'Failed importing backup: Failed creating instance record: Invalid instance name: Name can only contain alphanumeric and hyphen characters'],
    [{ 'x-lxd-name': '../x' }, /^Failed importing backup: Failed creating instance record: Invalid instance name/],
  ])('with %j ends its operation', async (headers, message) => {
    expect((await (await bring(member, text, headers as Record<string, string>)).wait()).err).toMatch(message);
  });

  it('into no pool, or of an instance that is not described, is refused', async () => {
    await expect(bring(member, text, { 'x-lxd-name': 'x', 'x-lxd-pool': 'nope' })).rejects.toThrow('Storage pool not found: Storage pool not found');
    const empty = JSON.stringify({ index: 'name: x\npool: default\n', content: '', snapshots: [] });
    expect((await (await bring(member, empty)).wait()).err).toBe('Create instance from backup: The backup does not describe its instance');
    const { index } = JSON.parse(text) as { index: string };
    const strange = JSON.stringify({ ...JSON.parse(text) as object, index: index.replace('- s0', '- ../../../etc') });
    expect((await (await bring(member, strange, { 'x-lxd-name': 'x' })).wait()).err).toMatch(/Invalid instance snapshot name/);
    expect(member.get(InstanceCatalog).find('default', 'x')).toBeUndefined();
  });

  it('leaves nothing when the host fails', async () => {
    for (const point of ['archives.unpackBackup', 'instance.createInstance']) {
      member.host.faults.fail(point);
      expect((await (await bring(member, text, { 'x-lxd-name': 'x' })).wait()).err).toContain(point);
    }
    expect([member.get(InstanceCatalog).find('default', 'x'), content(member, 'x')]).toEqual([undefined, undefined]);
  });

  it('does not outlive the daemon', async () => {
    writeFileSync(`${member.host.state.backups}/import-left`, text);
    await member.stop();
    member = await FakeMember.start(member.host);
  });
});

describe('backup.yaml', () => {
  it('tells what the volume belongs to, soon after each change, and once for many', async () => {
    const member = await world();
    const read = () => parse(member.host.archives.files.get('default/container/c1//backup.yaml') ?? '{}') as { container: { config: object; description: string }; snapshots?: { name: string }[] };
    const settle = () => member.get(BackupYaml).settle(new AbortController().signal);
    await settle();
    expect(read()).toMatchObject({ container: { name: 'c1', config: { 'user.mark': 'yes' }, description: 'mine' }, snapshots: [{ name: 's0' }], pool: { name: 'default', driver: 'btrfs' }, volume: { name: 'c1' } });

    await member.get(InstanceUpdate).merge(member.ctx(), { project: 'default', name: 'c1', body: { config: { 'user.mark': 'no' } } as never, ifMatch: undefined, merge: true });
    await settled(await member.get(SnapshotRequests).delete(member.ctx(), find(member, 'c1'), member.get(InstanceSnapshots).get(find(member, 'c1'), 's0')));
    await settle();
    expect(read()).toMatchObject({ container: { config: { 'user.mark': 'no' } } });
    expect(read().snapshots).toBeUndefined();

    member.host.archives.files.clear();
    await settle();
    expect(member.host.archives.files.size).toBe(0);
    await member.close();
  });
});

function harness<P>(member: FakeMember, definition: OperationDefinition<P>, rest: Pick<OperationHarness<P>, 'params' | 'reserve' | 'assertDone' | 'assertClean'>): OperationHarness<P> {
  const steps = definition.steps.map((type: StepClass<P>) => member.get(type as unknown as abstract new () => Step<P, unknown>));
  return { steps, transactions: member.transactions, database: member.database, feed: member.feed, close: () => member.close(), ...rest };
}

describeOperation<CreateBackupParams>({
  definition: createBackup,
  harness: async () => {
    const member = await world();
    const { id } = find(member, 'c1').row;
    const params: CreateBackupParams = { id, project: 'default', name: 'c1', type: 'container', backup: 'b0', backupId: 0, instanceOnly: false, optimized: false, compression: 'none' };
    const traces = () => ({ row: member.get(InstanceBackupRepository).find(id, 'b0')?.state ?? 'none', files: files(member).length + (readdirSync(member.host.state.backups).includes('instances') ? files(member, '/instances').length : 0) });
    return harness(member, createBackup, {
      params,
      reserve: (tx) => { params.backupId = member.get(InstanceBackupRepository).insert(tx, id, { name: 'b0', createdAt: '2026-01-01T00:00:00Z', expiresAt: null, alone: false, optimized: false }); },
      assertDone: () => expect(traces()).toEqual({ row: 'Created', files: 1 }),
      assertClean: () => expect(traces()).toEqual({ row: 'none', files: 0 }),
    });
  },
});

describeOperation<ImportInstanceParams>({
  definition: importInstance,
  harness: async () => {
    const member = await world();
    const index = JSON.stringify(member.get(InstanceDescription).index(find(member, 'c1'), { instanceOnly: false, optimized: false }));
    const path = `${member.host.state.backups}/import-test`;
    writeFileSync(path, JSON.stringify({ index, content: 'two', snapshots: [['s0', 'one']] }));
    const host = await member.get(InstanceNeighbors).hostDescription();
    const params: ImportInstanceParams = {
      project: 'default', name: 'c2', type: 'container', pool: 'default', size: '', fingerprint: '', remote: null, archive: path, snapshots: ['s0'], optimized: false,
    };
    const traces = () => ({
      row: member.get(InstanceRepository).findByName('default', 'c2')?.state ?? 'none', volume: content(member, 'c2')?.content ?? 'none', snapshots: content(member, 'c2')?.snapshots.size ?? 0,
      host: member.host.instances.instances.has('c2'), rows: member.get(VolumesService).find({ pool: 'default', project: 'default', name: 'c2', type: 'container' }) !== undefined,
    });
    return harness(member, importInstance, {
      params,
      reserve: (tx) => { member.get(DescribedRows).reserve(tx, { ...params }, readBackupIndex(index).config!, ['s0'], host); },
      assertDone: () => expect(traces()).toEqual({ row: 'Created', volume: 'two', snapshots: 1, host: true, rows: true }),
      assertClean: () => expect(traces()).toEqual({ row: 'none', volume: 'none', snapshots: 0, host: false, rows: false }),
    });
  },
});
