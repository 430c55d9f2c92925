import type { WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StorageVolumesPost, StorageVolumeSource } from '#api-types';
import { internal } from '#kernel';
import { VolumeMigration } from '#ports';
import { describeOperation } from '#platform/operations/testing';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { ControlChannel } from '../../migration/control-channel.js';
import { Frames } from '../../migration/frames.js';
import { writeIndex } from '../../migration/index-header.rules.js';
import type { MigrationHeader, WireSnapshot } from '../../migration/migration-messages.rules.js';
import { VolumeMigrations } from '../../migration/volume-migrations.service.js';
import { makeVolume, StorageMember, volumeOf } from '../../testing/storage-member.js';
import { webSocketPair } from '../../testing/websocket-pair.js';
import { VolumeUsage } from '../../volume-usage.registry.js';
import { CustomVolumeHost } from '../custom-volume-host.js';
import { CustomVolumes } from '../custom-volumes.service.js';
import { VolumeSnapshotRequests } from '../snapshots/volume-snapshot-requests.service.js';
import { volumeKeyOf } from '../volume-operation.params.js';
import { receiveVolume, receiveVolumeRefresh } from './receive-volume.operation.js';
import type { ReceivedRefreshParams, ReceivedVolumeParams } from './received-volume.params.js';
import { VolumeMigrationRequests } from './volume-migration-requests.service.js';

const key = (name: string) => volumeKeyOf({ pool: 'p1', project: 'default', name, memberId: 1 });
const idmap = JSON.stringify([{ Isuid: true, Isgid: true, Hostid: 100_000, Nsid: 0, Maprange: 65_536 }]);
const shift = [{ isUid: true, isGid: true, hostId: 100_000, nsId: 0, range: 65_536 }];

async function snapshot(member: StorageMember, volume: string, name: string): Promise<void> {
  expect((await (await member.get(VolumeSnapshotRequests).create(member.ctx(), key(volume), { name })).wait()).err).toBe('');
}

/** `v1` with a snapshot `s0`, whose contents are `two` and `one`. */
async function world(config: Record<string, string> = {}): Promise<StorageMember> {
  const member = await StorageMember.start();
  await makeVolume(member, { config });
  volumeOf(member)!.content = 'one';
  await snapshot(member, 'v1', 's0');
  volumeOf(member)!.content = 'two';
  return member;
}

function traces(member: StorageMember, name: string) {
  const row = member.get(VolumesRepository).find(member.database.read, key(name));
  const volume = volumeOf(member, name);
  return {
    row: row?.state ?? 'none', rows: row === undefined ? [] : member.get(VolumeSnapshotsRepository).list(member.database.read, row.id).map((one) => one.name),
    content: volume?.content ?? 'none', snapshots: Object.fromEntries(volume?.snapshots ?? []), former: volume?.formers.size ?? 0,
  };
}

const nothing = { row: 'none', rows: [], content: 'none', snapshots: {}, former: 0 };
const everything = { row: 'Created', rows: ['s0'], content: 'two', snapshots: { s0: 'one' }, former: 0 };

type Connect = (name: string, socket: WebSocket) => Promise<void>;
const connecting = (member: StorageMember, operation: OperationHandle): Connect =>
  (name, socket) => member.get(OperationsService).connect(operation.id, (operation.api().metadata as Record<string, string>)[name]!, async () => socket);

async function together(one: Connect, other: Connect): Promise<void> {
  for (const name of ['control', 'fs']) {
    const [mine, theirs] = await webSocketPair();
    await one(name, mine);
    await other(name, theirs);
  }
}

/** A conversation about `v1` that has come to its files. */
async function conversation(member: StorageMember, session: string, refresh: boolean): Promise<() => Promise<void>> {
  const from = await member.get(VolumeMigrationRequests).send(member.ctx(), key('v1'), { name: 'v1', pool: '', project: '' });
  const connections = member.get(VolumeMigrations).await();
  const arrival = member.get(VolumeMigrations).expect(session, connections, () => undefined);
  await together(connecting(member, from), (name, socket) => connections.connect(connections.secrets[name]!, async () => socket));
  const { snapshots } = await arrival.offer();
  await arrival.accept({ volume: member.get(CustomVolumeHost).spec(target), snapshots, refresh });
  return async () => {
    await arrival.end(internal('over'));
    await from.wait();
  };
}

const received = { snapshots: [{ name: 's0', description: '', createdAt: '2026-01-01T00:00:00Z', expiresAt: null, config: {} }], sizeBytes: 0, move: false, session: 'x', shifted: [] };
const target = { pool: 'p1', project: 'default', name: 'v2', memberId: 1, contentType: 'filesystem' as const };

describeOperation<ReceivedVolumeParams>({
  definition: receiveVolume,
  harness: async () => {
    const member = await world();
    const end = await conversation(member, 'x', false);
    const harness = member.harness(receiveVolume, {
      params: { ...target, ...received },
      reserve: (tx) => member.get(CustomVolumes).reserve(tx, target, { description: '', config: {} }),
      assertDone: () => expect(traces(member, 'v2')).toEqual(everything),
      assertClean: () => expect(traces(member, 'v2')).toEqual(nothing),
    });
    return { ...harness, close: async () => { await end(); await harness.close(); } };
  },
});

describeOperation<ReceivedRefreshParams>({
  definition: receiveVolumeRefresh,
  harness: async () => {
    const member = await world();
    await makeVolume(member, { name: 'v2' });
    volumeOf(member, 'v2')!.content = 'stale';
    await snapshot(member, 'v2', 'gone');
    const before = traces(member, 'v2');
    const end = await conversation(member, 'x', true);
    const harness = member.harness(receiveVolumeRefresh, {
      params: { ...target, ...received, added: ['s0'], stale: ['gone'] },
      assertDone: () => expect(traces(member, 'v2')).toEqual(everything),
      // After the last transaction it is as fresh as its source.
      assertClean: () => {
        const found = traces(member, 'v2');
        if (found.rows.includes('gone')) expect(found).toEqual(before);
        else expect(found.content).toBe('two');
      },
    });
    return { ...harness, close: async () => { await end(); await harness.close(); } };
  },
});

describe('a volume from another server', () => {
  let member: StorageMember;
  let sockets: WebSocket[];
  beforeEach(async () => {
    sockets = [];
    member = await world({ 'volatile.idmap.last': idmap, 'user.mark': 'one' });
  });
  afterEach(async () => {
    for (const socket of sockets) socket.terminate();
    await member.close();
  });

  const send = () => member.get(VolumeMigrationRequests).send(member.ctx(), key('v1'), { name: 'v1', pool: '', project: '' });
  const receive = (name: string, source: StorageVolumeSource = {}, more: Partial<StorageVolumesPost> = {}) =>
    member.get(VolumeMigrationRequests).receive(member.ctx(), 'p1', 'default', { name, type: 'custom', content_type: '', description: '', config: {}, ...more }, { mode: 'push', ...source });
  const lastShifted = () => (member.get(VolumeMigration) as unknown as { lastReceived?: { shifted: unknown } }).lastReceived?.shifted;
  const configOf = (name: string) => member.get(VolumesRepository).get(member.database.read, key(name)).config;
  const use = () => member.get(VolumeUsage).registerVolumeUsers((_sql, { name }) => (name === 'v2' ? [{ url: '/1.0/instances/c1', direct: true, running: true }] : []));

  async function both(from: OperationHandle, to: OperationHandle): Promise<string[]> {
    await together(connecting(member, from), connecting(member, to));
    return (await Promise.all([from.wait(), to.wait()])).map(({ err }) => err);
  }

  /** A server that says what it is told to. */
  async function strange(to: OperationHandle, more: Partial<MigrationHeader>): Promise<{ readonly control: ControlChannel; readonly fs: Frames }> {
    const mine = new Map<string, WebSocket>();
    await together(connecting(member, to), async (name, socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      mine.set(name, socket);
    });
    const control = new ControlChannel(mine.get('control')!);
    await control.sendHeader({ fs: 0, idmap: [], snapshotNames: [], snapshots: [], rsyncFeatures: { xattrs: true, delete: true, compress: true, bidirectional: true }, ...more });
    return { control, fs: new Frames(mine.get('fs')!) };
  }

  const wire = (name: string, config: Record<string, string> = {}): WireSnapshot =>
    ({ name, localConfig: Object.entries(config).map(([one, value]) => ({ key: one, value })), profiles: [], ephemeral: false, localDevices: [], architecture: 0, stateful: false });

  it('has files and snapshots, with the container\'s own ids and nothing said of others', async () => {
    expect(await both(await send(), await receive('v2', {}, { config: { 'user.mark': 'two', 'volatile.idmap.last': idmap, 'zfs.use_refquota': 'true' } }))).toEqual(['', '']);

    expect(traces(member, 'v2')).toEqual(everything);
    expect(lastShifted()).toEqual([{ snapshot: 's0', idmap: shift }, { snapshot: '', idmap: shift }]);
    expect(configOf('v2')).toEqual({ 'user.mark': 'two' });
    const { id } = member.get(VolumesRepository).get(member.database.read, key('v2'));
    expect(member.get(VolumeSnapshotsRepository).list(member.database.read, id).map(({ config }) => config)).toEqual([{ 'user.mark': 'one' }]);
  });

  it('has ids as the client says where its server does not, and is refused with what is no map', async () => {
    const to = await receive('v2', {}, { config: { 'volatile.idmap.last': idmap } });
    const { control } = await strange(to, {});
    await control.takeHeader();
    await expect.poll(lastShifted).toEqual([{ snapshot: '', idmap: shift }]);
    for (const socket of sockets) socket.terminate();
    expect((await to.wait()).err).toBe('The other side has hung up');

    const other = await receive('v2');
    await strange(other, { snapshotNames: ['s0'], snapshots: [wire('s0', { 'volatile.idmap.last': '[{"Isuid":true,"Isgid":true,"Hostid":-1,"Nsid":0,"Maprange":1}]' })] });
    expect((await other.wait()).err).toBe('Invalid id map of the volume');
    expect(traces(member, 'v2')).toEqual(nothing);
  });

  it('is brought up to date, and has the container\'s own ids again', async () => {
    expect(await both(await send(), await receive('v2'))).toEqual(['', '']);
    volumeOf(member)!.content = 'three';
    await snapshot(member, 'v1', 's1');
    await snapshot(member, 'v2', 'gone');

    expect(await both(await send(), await receive('v2', { refresh: true }))).toEqual(['', '']);

    expect(traces(member, 'v2')).toEqual({ ...everything, rows: ['s0', 's1'], content: 'three', snapshots: { s0: 'one', s1: 'three' } });
    expect(lastShifted()).toEqual([{ snapshot: 's1', idmap: shift }, { snapshot: '', idmap: shift }]);
  });

  it('is a disk where it was one, and refused as what it is not', async () => {
    await makeVolume(member, { name: 'b1', content_type: 'block', config: { size: '1MiB' } });
    volumeOf(member, 'b1')!.content = 'disk';
    const sendDisk = () => member.get(VolumeMigrationRequests).send(member.ctx(), key('b1'), { name: 'b1', pool: '', project: '' });

    expect(await both(await sendDisk(), await receive('b2', {}, { content_type: 'block' }))).toEqual(['', '']);
    expect(traces(member, 'b2')).toMatchObject({ row: 'Created', content: 'disk' });
    volumeOf(member, 'b1')!.content = 'other';
    expect(await both(await sendDisk(), await receive('b2', { refresh: true }, { content_type: 'block' }))).toEqual(['', '']);
    expect(traces(member, 'b2').content).toBe('other');
    expect((await both(await send(), await receive('b2', { refresh: true })))[1]).toBe('No common migration types found');
    expect(traces(member, 'b2').content).toBe('other');
  });

  it('is not there when the other server dies', async () => {
    const to = await receive('v2');
    const { control } = await strange(to, { snapshotNames: ['s0'], snapshots: [wire('s0')] });
    await control.takeHeader();
    await expect.poll(() => traces(member, 'v2').row).toBe('Creating');

    for (const socket of sockets) socket.terminate();

    expect((await to.wait()).err).toBe('The other side has hung up');
    expect(traces(member, 'v2')).toEqual(nothing);
  });

  it('is what it was when the other server dies while it is brought up to date', async () => {
    expect(await both(await send(), await receive('v2'))).toEqual(['', '']);
    const to = await receive('v2', { refresh: true });
    const { control } = await strange(to, { snapshotNames: ['s0', 's1'], snapshots: [wire('s0'), wire('s1')] });
    expect((await control.takeHeader()).snapshotNames).toEqual(['s1']);

    for (const socket of sockets) socket.terminate();

    expect((await to.wait()).err).toBe('The other side has hung up');
    expect(traces(member, 'v2')).toEqual(everything);
  });

  describe('that is to be brought up to date', () => {
    // Nobody is there: whoever connects first would say so.
    const asked = { mode: 'pull', refresh: true, operation: 'https://127.0.0.1:1/1.0/operations/x', secrets: { control: 'a', fs: 'b' } };
    beforeEach(() => makeVolume(member, { name: 'v2' }));

    it('is refused before anybody is asked for it: one that a running instance uses', async () => {
      use();
      await expect(receive('v2', asked)).rejects.toThrow('Cannot refresh custom volume used by running instances');
    });

    it('is refused before anybody is asked for it: one that the server itself uses', async () => {
      member.get(VolumeUsage).registerOwn(({ name }) => name === 'v2');
      await expect(receive('v2', asked)).rejects.toThrow('The storage volume is still in use');
    });

    /** Does something between what was agreed on and what is made of it. */
    async function meanwhile(change: () => Promise<void> | void): Promise<string> {
      volumeOf(member, 'v2')!.content = 'mine';
      const to = await receive('v2', { refresh: true });
      const { control, fs } = await strange(to, { snapshotNames: ['s0'], snapshots: [wire('s0')], indexHeaderVersion: 1 });
      await control.takeHeader();
      await change();
      await fs.send(writeIndex({}), true);
      await fs.end();
      const { err } = await to.wait();
      expect(volumeOf(member, 'v2')!.content).toBe('mine');
      return err;
    }

    it('stays as it is when an instance that uses it was started meanwhile', async () => {
      expect(await meanwhile(() => use())).toBe('Cannot refresh custom volume used by running instances');
      expect(traces(member, 'v2').rows).toEqual([]);
    });

    it('stays as it is when it got a snapshot meanwhile that was to come', async () => {
      expect(await meanwhile(() => snapshot(member, 'v2', 's0'))).toBe('The snapshots of the volume have changed meanwhile');
      expect(traces(member, 'v2')).toMatchObject({ rows: ['s0'], snapshots: { s0: 'mine' } });
    });

    it('stays as it is when it was made anew as a disk meanwhile', async () => {
      expect(await meanwhile(async () => {
        await member.get(CustomVolumes).delete(member.ctx(), key('v2'));
        await makeVolume(member, { name: 'v2', content_type: 'block', config: { size: '1MiB' } });
        volumeOf(member, 'v2')!.content = 'mine';
      })).toBe('The volume was made anew meanwhile');
    });
  });
});
