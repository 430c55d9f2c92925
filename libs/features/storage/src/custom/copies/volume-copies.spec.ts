import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { StorageVolumesPost, StorageVolumeSource } from '#api-types';
import { describeOperation } from '#platform/operations/testing';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository } from '../../data/volumes.repository.js';
import { makeVolume, StorageMember, succeeded, volumeOf } from '../../testing/storage-member.js';
import { VolumeUsage } from '../../volume-usage.registry.js';
import { CustomVolumes } from '../custom-volumes.service.js';
import { discardVolume } from '../discard-volume.operation.js';
import { VolumeSnapshotRequests } from '../snapshots/volume-snapshot-requests.service.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';
import type { CopiedSnapshot, CopyVolumeParams, RefreshVolumeParams } from './copy-volume.params.js';
import { copyVolume } from './copy-volume.operation.js';
import { CustomVolumeCopies } from './custom-volume-copies.service.js';
import { moveVolume } from './move-volume.operation.js';
import { refreshVolume } from './refresh-volume.operation.js';

const source: VolumeParams = { pool: 'p1', project: 'default', name: 'v1', memberId: 1, contentType: 'filesystem' };
const target: VolumeParams = { ...source, pool: 'd1', name: 'v2' };
const s0: CopiedSnapshot = { name: 's0', description: '', createdAt: '2026-01-01T00:00:00Z', expiresAt: null, config: {} };
const params: CopyVolumeParams = { ...target, source, sourceSnapshot: '', snapshots: [s0], sizeBytes: 0, move: false };

async function world(): Promise<StorageMember> {
  const member = await StorageMember.start();
  await makeVolume(member, { config: { 'user.a': 'b' } });
  volumeOf(member)!.content = 'one';
  await succeeded(member.get(VolumeSnapshotRequests).create(member.ctx(), volumeKeyOf(source), { name: 's0' }));
  volumeOf(member)!.content = 'two';
  return member;
}

function traces(member: StorageMember, { pool, name }: Pick<VolumeParams, 'pool' | 'name'>) {
  const row = member.get(VolumesRepository).find(member.database.read, volumeKeyOf({ ...source, pool, name }));
  const volume = volumeOf(member, name, pool);
  return {
    row: row?.state ?? 'none', rows: row === undefined ? [] : member.get(VolumeSnapshotsRepository).list(member.database.read, row.id).map((snapshot) => snapshot.name),
    content: volume?.content ?? 'none', snapshots: Object.fromEntries(volume?.snapshots ?? []), former: volume?.formers.size ?? 0,
  };
}

const nothing = { row: 'none', rows: [], content: 'none', snapshots: {}, former: 0 };
const everything = { row: 'Created', rows: ['s0'], content: 'two', snapshots: { s0: 'one' }, former: 0 };

describeOperation<CopyVolumeParams>({
  definition: copyVolume,
  harness: async () => {
    const member = await world();
    return member.harness(copyVolume, {
      params,
      reserve: (tx) => member.get(CustomVolumes).reserve(tx, target, { description: '', config: {} }),
      assertDone: () => {
        expect(traces(member, source)).toEqual(everything);
        expect(traces(member, target)).toEqual(everything);
      },
      assertClean: () => {
        expect(traces(member, source)).toEqual(everything);
        expect(traces(member, target)).toEqual(nothing);
      },
    });
  },
});

describeOperation<CopyVolumeParams>({
  definition: moveVolume,
  harness: async () => {
    const member = await world();
    const arrived = async (): Promise<void> => {
      expect(traces(member, target)).toEqual(everything);
      await vi.waitFor(() => expect(traces(member, source)).toEqual(nothing));
    };
    const { steps } = member.harness(discardVolume, { params: source, assertDone: () => {}, assertClean: () => {} });
    return member.harness(moveVolume, {
      delegates: [{ definition: discardVolume, steps }],
      params: { ...params, move: true },
      reserve: (tx) => member.get(CustomVolumes).reserve(tx, target, { description: '', config: {} }),
      assertDone: arrived,
      // One whole volume in exactly one place: after the last transaction there is no way back.
      assertClean: () => {
        if (traces(member, target).row === 'Created') return arrived();
        expect(traces(member, source)).toEqual(everything);
        expect(traces(member, target)).toEqual(nothing);
      },
    });
  },
});

describeOperation<RefreshVolumeParams>({
  definition: refreshVolume,
  harness: async () => {
    const member = await world();
    await makeVolume(member, { name: 'v2' }, 'd1');
    volumeOf(member, 'v2', 'd1')!.content = 'stale';
    await succeeded(member.get(VolumeSnapshotRequests).create(member.ctx(), volumeKeyOf(target), { name: 'gone' }));
    const before = traces(member, target);
    return member.harness(refreshVolume, {
      params: { ...params, added: ['s0'], stale: ['gone'] },
      assertDone: () => expect(traces(member, target)).toEqual(everything),
      // After the last transaction it is as fresh as its source.
      assertClean: () => {
        const found = traces(member, target);
        if (found.rows.includes('gone')) expect(found).toEqual(before);
        else expect(found.content).toBe('two');
      },
    });
  },
});

describe('copies of custom volumes', () => {
  let member: StorageMember;
  let copies: CustomVolumeCopies;
  beforeEach(async () => {
    member = await world();
    copies = member.get(CustomVolumeCopies);
  });
  afterEach(() => member.close());

  const copy = (to: { pool?: string; name?: string; config?: Record<string, string>; description?: string } = {}, from: Partial<StorageVolumeSource> = {}) => {
    const { pool = 'd1', name = 'v2', config = {}, description = '' } = to;
    const request: StorageVolumesPost = { name, type: 'custom', content_type: '', description, config };
    return succeeded(copies.copy(member.ctx(), pool, 'default', request, { type: 'copy', name: 'v1', pool: 'p1', ...from }));
  };

  it('have the snapshots and keys of their source, or those asked for', async () => {
    await copy();
    await copy({ pool: 'p1', name: 'v3', config: { 'user.c': 'd' }, description: 'mine' }, { volume_only: true });
    await copy({ name: 'v4' }, { name: 'v1/s0' });

    expect(traces(member, target)).toEqual(everything);
    expect(traces(member, { pool: 'p1', name: 'v3' })).toEqual({ ...everything, rows: [], snapshots: {} });
    expect(traces(member, { pool: 'd1', name: 'v4' })).toEqual({ ...everything, rows: [], snapshots: {}, content: 'one' });
    const config = (name: string, pool = 'd1') => member.get(VolumesRepository).get(member.database.read, volumeKeyOf({ ...source, pool, name }));
    expect(config('v2').config).toEqual({ 'user.a': 'b' });
    expect(config('v3', 'p1')).toMatchObject({ config: { 'user.c': 'd' }, description: 'mine' });
  });

  it('are refused in the words of LXD', async () => {
    const missing = (name: string) => `Failed generating volume copy config: Storage volume "${name}" in project "default" of type "custom" does not exist on pool "p1": Storage volume not found`;
    await expect(copy({}, { name: 'nope' })).rejects.toThrow(missing('nope'));
    await expect(copy({}, { name: 'v1/nope' })).rejects.toThrow(missing('v1/nope'));
    await expect(copy({}, { pool: 'nope' })).rejects.toThrow('Storage pool not found');
    await copy();
    await expect(copy()).rejects.toThrow('Volume by that name already exists');
  });

  it('are brought up to date, without snapshots the source has no more', async () => {
    await copy();
    volumeOf(member)!.content = 'three';
    await succeeded(member.get(VolumeSnapshotRequests).create(member.ctx(), volumeKeyOf(source), { name: 's1' }));
    await succeeded(member.get(VolumeSnapshotRequests).delete(member.ctx(), volumeKeyOf(source), 's0'));
    expect(copies.isRefresh('d1', 'default', 'v2', { refresh: true })).toBe(true);
    expect(copies.isRefresh('d1', 'default', 'v9', { refresh: true })).toBe(false);

    await succeeded(copies.refresh(member.ctx(), 'd1', 'default', 'v2', { type: 'copy', name: 'v1', pool: 'p1', refresh: true }));

    expect(traces(member, target)).toEqual({ ...everything, rows: ['s1'], content: 'three', snapshots: { s1: 'three' } });
  });

  it('take the place of their source when it moves, for those who name it too', async () => {
    const followed: string[] = [];
    member.get(VolumeUsage).registerFollower((_tx, from, to) => void followed.push(`${from.pool}/${from.name} ${to.pool}/${to.name}`));

    await succeeded(copies.move(member.ctx(), volumeKeyOf(source), { pool: 'd1', project: 'default', name: 'v2' }));
    await vi.waitFor(() => expect(traces(member, source)).toEqual(nothing));

    expect(traces(member, target)).toEqual(everything);
    expect(followed).toEqual(['p1/v1 d1/v2']);
  });

  it('do not take anything from under a running instance', async () => {
    member.get(VolumeUsage).registerVolumeUsers(() => [{ url: '/1.0/instances/c1', direct: true, running: true }]);

    await expect(copies.move(member.ctx(), volumeKeyOf(source), { pool: 'd1', project: 'default', name: 'v2' })).rejects.toThrow('Volume is still in use by running instances');
    await copy();
    await expect(copies.refresh(member.ctx(), 'd1', 'default', 'v2', { type: 'copy', name: 'v1', pool: 'p1', refresh: true })).rejects.toThrow('Cannot refresh custom volume used by running instances');
  });
});

describeOperation<VolumeParams>({
  definition: discardVolume,
  harness: async () => {
    const member = await world();
    // As a move leaves it.
    await member.transactions.run(member.ctx(), (tx) => {
      const volumes = member.get(VolumesRepository);
      volumes.setState(tx, volumes.get(tx.sql, volumeKeyOf(source)).id, 'Deleting');
    });
    return member.harness(discardVolume, {
      params: source,
      assertDone: () => expect(traces(member, source)).toEqual(nothing),
      // It goes on until it has succeeded; given up, what is left has its row.
      assertClean: () => { if (traces(member, source).row === 'none') expect(traces(member, source)).toEqual(nothing); },
    });
  },
});
