import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Clock, LocalMember, SilentLogger } from '#kernel';
import { describeOperation } from '#platform/operations/testing';
import { VolumeSnapshotsRepository } from '../../data/volume-snapshots.repository.js';
import { VolumesRepository, type VolumeKey } from '../../data/volumes.repository.js';
import { makeVolume, StorageMember, succeeded, volumeOf } from '../../testing/storage-member.js';
import { VolumeSnapshotViews } from '../../volume-snapshot-views.service.js';
import { VolumeUsage } from '../../volume-usage.registry.js';
import { volumeKeyOf, type VolumeParams } from '../volume-operation.params.js';
import { createVolumeSnapshot } from './create-volume-snapshot.operation.js';
import { deleteVolumeSnapshot } from './delete-volume-snapshot.operation.js';
import { renameVolumeSnapshot } from './rename-volume-snapshot.operation.js';
import { restoreVolume } from './restore-volume.operation.js';
import { VolumeSnapshotExpiryReconciler } from './volume-snapshot-expiry.reconciler.js';
import { CustomVolumes } from '../custom-volumes.service.js';
import { VolumeSnapshotScheduleReconciler } from './volume-snapshot-schedule.reconciler.js';
import { VolumeSnapshotRequests } from './volume-snapshot-requests.service.js';
import type { CreateVolumeSnapshotParams, RenameVolumeSnapshotParams, RestoreVolumeParams, VolumeSnapshotParams } from './volume-snapshot.params.js';

class SetClock extends Clock {
  at = new Date();

  override now(): Date { return this.at; }
  override monotonicMs(): number { return this.at.getTime(); }
}

const volume: VolumeParams = { pool: 'p1', project: 'default', name: 'v1', memberId: 1, contentType: 'filesystem' };
const params: VolumeSnapshotParams = { ...volume, snapshot: 's0' };
const key: VolumeKey = volumeKeyOf(volume);

async function world(snapshots: string[] = []): Promise<StorageMember> {
  const member = await StorageMember.start();
  await makeVolume(member);
  volumeOf(member)!.content = 'one';
  for (const name of snapshots) await succeeded(member.get(VolumeSnapshotRequests).create(member.ctx(), key, { name }));
  volumeOf(member)!.content = 'two';
  return member;
}

function traces(member: StorageMember, name = 's0') {
  const { id } = member.get(VolumesRepository).get(member.database.read, key);
  return { row: member.get(VolumeSnapshotsRepository).find(member.database.read, id, name) !== undefined, there: volumeOf(member)!.snapshots.has(name) };
}

const absent = { row: false, there: false };
const present = { row: true, there: true };

describeOperation<CreateVolumeSnapshotParams>({
  definition: createVolumeSnapshot,
  harness: async () => {
    const member = await world();
    return member.harness(createVolumeSnapshot, {
      params: { ...params, description: '', config: { 'user.a': 'b' }, createdAt: '2026-01-01T00:00:00Z', expiresAt: null },
      assertDone: () => expect(traces(member)).toEqual(present),
      assertClean: () => expect(traces(member)).toEqual(absent),
    });
  },
});

describeOperation<VolumeSnapshotParams>({
  definition: deleteVolumeSnapshot,
  harness: async () => {
    const member = await world(['s0']);
    return member.harness(deleteVolumeSnapshot, {
      params,
      assertDone: () => expect(traces(member)).toEqual(absent),
      // Files that are gone cannot come back; what is left is a snapshot that can be removed again, or nothing.
      assertClean: () => {
        const found = traces(member);
        expect(found).toEqual(found.row ? { ...present, there: found.there } : absent);
      },
    });
  },
});

describeOperation<RenameVolumeSnapshotParams>({
  definition: renameVolumeSnapshot,
  harness: async () => {
    const member = await world(['s0']);
    const expectMoved = (from: string, to: string): void => {
      expect(traces(member, from)).toEqual(absent);
      expect(traces(member, to)).toEqual(present);
    };
    return member.harness(renameVolumeSnapshot, {
      params: { ...params, newName: 's1' },
      assertDone: () => expectMoved('s0', 's1'),
      assertClean: () => expectMoved('s1', 's0'),
    });
  },
});

describeOperation<RestoreVolumeParams>({
  definition: restoreVolume,
  harness: async () => {
    const member = await world(['s0']);
    const content = () => ({ content: volumeOf(member)!.content, former: volumeOf(member)!.formers.size });
    return member.harness(restoreVolume, {
      params: { ...params, diskBytes: 0 },
      assertDone: () => expect(content()).toEqual({ content: 'one', former: 0 }),
      // What was kept is dropped by the last step: whoever undoes after that finds the restored content, and nothing kept.
      assertClean: () => expect([{ content: 'two', former: 0 }, { content: 'one', former: 0 }]).toContainEqual(content()),
    });
  },
});

describe('snapshots of custom volumes', () => {
  let member: StorageMember;
  let requests: VolumeSnapshotRequests;
  beforeEach(async () => {
    member = await world();
    requests = member.get(VolumeSnapshotRequests);
    member.seen.length = 0;
  });
  afterEach(() => member.close());

  const inUrl = { pool: 'p1', type: 'custom', project: 'default', name: 'v1', target: '' };
  const names = () => member.get(VolumeSnapshotViews).list(inUrl).map(({ name }) => name);
  const take = (name = '', expiresAt?: string) => succeeded(requests.create(member.ctx(), key, { name, expiresAt }));

  it('are taken under the next free name, described, renamed, restored and removed', async () => {
    await take();
    await take('mine', '2035-01-01T00:00:00Z');
    await take();
    expect(names()).toEqual(['v1/snap0', 'v1/mine', 'v1/snap1']);
    expect(member.get(VolumeSnapshotViews).urls(inUrl)[1]).toBe('/1.0/storage-pools/p1/volumes/custom/v1/snapshots/mine');

    await requests.update(member.ctx(), key, 'mine', { description: 'd' }, { merge: true, ifMatch: undefined });
    expect(member.get(VolumeSnapshotViews).list(inUrl)[1]).toMatchObject({ description: 'd', expires_at: '2035-01-01T00:00:00Z' });
    await requests.update(member.ctx(), key, 'mine', {}, { merge: false, ifMatch: undefined });
    expect(member.get(VolumeSnapshotViews).list(inUrl)[1]).toMatchObject({ description: '', expires_at: null });
    await succeeded(requests.rename(member.ctx(), key, 'mine', 'yours'));
    volumeOf(member)!.content = 'three';
    await requests.restore(member.ctx(), key, 'yours');
    expect(volumeOf(member)!.content).toBe('two');
    await succeeded(requests.delete(member.ctx(), key, 'yours'));

    expect(names()).toEqual(['v1/snap0', 'v1/snap1']);
    const at = '/1.0/storage-pools/p1/volumes/custom/v1';
    expect(member.seen.slice(3)).toEqual([
      `storage-volume-snapshot-updated ${at}/snapshots/mine`, `storage-volume-snapshot-updated ${at}/snapshots/mine`, `storage-volume-snapshot-renamed ${at}/snapshots/yours`,
      `storage-volume-restored ${at}`, `storage-volume-snapshot-deleted ${at}/snapshots/yours`,
    ]);
  });

  it('are refused in the words of LXD', async () => {
    await take('s0');

    await expect(take('s0')).rejects.toMatchObject({ kind: 'conflict', message: 'Snapshot "s0" already in use' });
    await expect(take('a/b')).rejects.toThrow('Storage name cannot contain "/"');
    await expect(take('a b')).rejects.toThrow('Storage name cannot contain white space');
    await expect(take('..')).rejects.toThrow('Invalid snapshot name ".."');
    await expect(requests.rename(member.ctx(), key, 's0', '')).rejects.toThrow('No name provided');
    await expect(requests.rename(member.ctx(), key, 's0', 'a/b')).rejects.toThrow('Storage volume names may not contain slashes');
    await expect(requests.delete(member.ctx(), key, 'nope')).rejects.toThrow('Storage pool volume not found');
    await expect(requests.restore(member.ctx(), key, 'nope')).rejects.toThrow('Snapshot not found');
    member.get(VolumeUsage).registerVolumeUsers(() => [{ url: '/1.0/instances/c1', direct: true, running: true }]);
    await expect(requests.restore(member.ctx(), key, 's0')).rejects.toThrow('Cannot restore custom volume used by running instances');
  });

  it('go when their time is over', async () => {
    await take('old', '2020-01-01T00:00:00Z');
    await take('new', '2035-01-01T00:00:00Z');
    await take('kept');

    await member.get(VolumeSnapshotExpiryReconciler).run(new AbortController().signal);

    expect(names()).toEqual(['v1/new', 'v1/kept']);
  });

  it('are taken by a schedule, each once in its minute, named by the pattern', async () => {
    const clock = new SetClock();
    const reconciler = () => new VolumeSnapshotScheduleReconciler(
      member.database, member.get(VolumesRepository), member.get(VolumeSnapshotsRepository), requests, member.get(LocalMember), clock, new SilentLogger());
    const first = reconciler();
    const tick = async (time: string, by = first): Promise<string[]> => {
      clock.at = new Date(`2026-03-01T${time}`);
      await by.run(new AbortController().signal);
      return names();
    };
    await member.get(CustomVolumes).update(member.ctx(), key, { config: { 'snapshots.schedule': '30 10 * * *', 'snapshots.pattern': 'auto%d' } }, { merge: true, ifMatch: undefined });

    expect(await tick('10:29:50')).toEqual([]);
    expect(await tick('10:30:05')).toEqual(['v1/auto0']);
    expect(await tick('10:30:10')).toEqual(['v1/auto0']);
    expect(await tick('10:31:10')).toEqual(['v1/auto0']);
    expect(await tick('10:32:00', reconciler())).toEqual(['v1/auto0']);
    expect(await tick('10:29:00', first)).toEqual(['v1/auto0']);
  });
});
