import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '#kernel';
import type { PoolSpec, StorageDriver, VolumeSpec } from '../storage.port.js';
import type { VolumeSnapshots } from '../volume-snapshots.port.js';

export interface VolumeSnapshotsFixture {
  readonly driver: StorageDriver;
  readonly snapshots: VolumeSnapshots;
  /** Pools that do not exist yet. */
  readonly pool: PoolSpec;
  readonly otherPool: PoolSpec;
  /** Changes what is in a volume. */
  write(volume: VolumeSpec, content: string): Promise<void>;
  /** What was written last; of a snapshot where one is named. */
  read(volume: VolumeSpec, snapshot?: string): Promise<string>;
  /** Everything in the volume's parent directory that no listing shows: nothing may be left of finished work. */
  scratch(volume: VolumeSpec): Promise<string[]>;
  close(): Promise<void>;
}

const token = 'abc123';
const mib = 2 ** 20;

/** What every driver with snapshots owes its callers. `makeFixture` is called for each test. */
export function describeVolumeSnapshots(title: string, makeFixture: () => Promise<VolumeSnapshotsFixture>): void {
  describe(`snapshots of ${title}`, () => {
    let fixture: VolumeSnapshotsFixture;
    let snapshots: VolumeSnapshots;
    let c1: VolumeSpec;
    let c2: VolumeSpec;

    beforeEach(async () => {
      fixture = await makeFixture();
      snapshots = fixture.snapshots;
      const pool = await fixture.driver.createPool(fixture.pool);
      c1 = { pool, kind: 'container', name: 'c1' };
      c2 = { pool, kind: 'container', name: 'c2' };
      await fixture.driver.createVolume({ volume: c1, imageFingerprint: '', sizeBytes: 0 });
      await fixture.write(c1, 'one');
    });
    afterEach(() => fixture?.close());

    const kindOf = async (work: Promise<unknown>): Promise<string> =>
      work.then(() => 'no error', (error: unknown) => (error instanceof AppError ? error.kind : String(error)));
    const names = async (volume = c1): Promise<string[]> => (await snapshots.listSnapshots(volume)).sort();

    it('keep what a volume held, asked for twice', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await fixture.write(c1, 'two');
      await snapshots.createSnapshot(c1, 's0');

      expect([await fixture.read(c1), await fixture.read(c1, 's0'), await names()]).toEqual(['two', 'one', ['s0']]);
      expect(await fixture.scratch(c1)).toEqual([]);
    });

    it('are not listed as volumes', async () => {
      await snapshots.createSnapshot(c1, 's0');

      expect((await fixture.driver.listVolumes(c1.pool)).map(({ name }) => name)).toEqual(['c1']);
    });

    it('are not made of what is not there', async () => {
      expect(await kindOf(snapshots.createSnapshot(c2, 's0'))).toBe('not-found');
      expect(await names(c2)).toEqual([]);
    });

    it('are destroyed, also twice, one at a time', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await snapshots.createSnapshot(c1, 's1');

      await snapshots.destroySnapshot(c1, 's0');
      await snapshots.destroySnapshot(c1, 's0');

      expect(await names()).toEqual(['s1']);
      expect(await fixture.scratch(c1)).toEqual([]);
    });

    it('get another name, once and again', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await snapshots.createSnapshot(c1, 's1');

      await snapshots.renameSnapshot(c1, 's0', 'first');
      await snapshots.renameSnapshot(c1, 's0', 'first');

      expect(await names()).toEqual(['first', 's1']);
      expect(await kindOf(snapshots.renameSnapshot(c1, 'first', 's1'))).toBe('conflict');
      expect(await kindOf(snapshots.renameSnapshot(c1, 'no', 'other'))).toBe('not-found');
    });

    it('go with their volume when it is renamed', async () => {
      await snapshots.createSnapshot(c1, 's0');

      await fixture.driver.renameVolume(c1, 'c2');

      expect([await names(c1), await names(c2), await fixture.read(c2, 's0')]).toEqual([[], ['s0'], 'one']);
    });

    it('go with their volume when it is destroyed', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await snapshots.restoreSnapshot(c1, 's0', token, false);

      await fixture.driver.destroyVolume(c1);

      expect(await names()).toEqual([]);
      expect(await fixture.scratch(c1)).toEqual([]);
    });

    it('are measured where somebody counts, whatever else is asked for', async () => {
      await snapshots.createSnapshot(c1, 's0');

      const [there, absent, ...more] = await snapshots.measureSnapshots(c1, ['s0', 'nope']);
      expect([Number.isSafeInteger(there), absent, more]).toEqual([true, -1, []]);
      expect(await snapshots.measureSnapshots(c2, ['s0'])).toEqual([-1]);
    });

    it('are restored, repeated and finished', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await fixture.write(c1, 'two');
      await snapshots.restoreSnapshot(c1, 's0', token, false);
      await snapshots.restoreSnapshot(c1, 's0', token, false);

      expect([await fixture.read(c1), await fixture.read(c1, 's0')]).toEqual(['one', 'one']);
      await snapshots.finishRestore(c1, token);
      await snapshots.finishRestore(c1, token);
      expect(await fixture.scratch(c1)).toEqual([]);
      await snapshots.undoRestore(c1, token);
      expect(await fixture.read(c1)).toBe('one');
    });

    it('can be written to after a restore, and stay as they are', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await snapshots.restoreSnapshot(c1, 's0', token, false);
      await snapshots.finishRestore(c1, token);
      await fixture.write(c1, 'three');

      expect([await fixture.read(c1), await fixture.read(c1, 's0')]).toEqual(['three', 'one']);
    });

    it('are kept apart where the volume is written before the restore is settled', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await snapshots.restoreSnapshot(c1, 's0', token, true);
      await fixture.write(c1, 'three');

      expect([await fixture.read(c1), await fixture.read(c1, 's0')]).toEqual(['three', 'one']);
      await snapshots.undoRestore(c1, token);
      expect(await fixture.read(c1)).toBe('one');
    });

    it('leave the former content to a restore that is undone, undone twice', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await fixture.write(c1, 'two');
      await snapshots.restoreSnapshot(c1, 's0', token, false);

      await snapshots.undoRestore(c1, token);
      await snapshots.undoRestore(c1, token);

      expect([await fixture.read(c1), await names()]).toEqual(['two', ['s0']]);
      expect(await fixture.scratch(c1)).toEqual([]);
    });

    it('are not restored where there are none, and nothing changes', async () => {
      expect(await kindOf(snapshots.restoreSnapshot(c1, 'no', token, false))).toBe('not-found');
      await snapshots.undoRestore(c1, token);
      expect(await fixture.read(c1)).toBe('one');
    });

    it('keep the quota of the volume they are restored to', async () => {
      const { quota } = (await fixture.driver.capabilities()).find((one) => one.driver === c1.pool.driver) ?? { quota: false };
      await snapshots.createSnapshot(c1, 's0');
      await fixture.driver.resizeVolume(c1, 40 * mib);

      await snapshots.restoreSnapshot(c1, 's0', token, false);

      expect((await fixture.driver.describeVolume(c1)).totalBytes).toBe(quota ? 40 * mib : 0);
    });

    it('become volumes by a copy, repeated without effect', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await fixture.write(c1, 'two');
      const request = { source: c1, sourceSnapshot: 's0', target: c2, snapshots: [], sizeBytes: 0 };

      await snapshots.copyVolume(request);
      await fixture.write(c2, 'copied');
      await snapshots.copyVolume(request);

      expect([await fixture.read(c1), await fixture.read(c2), await names(c2)]).toEqual(['two', 'copied', []]);
      expect(await fixture.scratch(c1)).toEqual([]);
    });

    it('go along with a copy of their volume, into the same pool and another', async () => {
      await snapshots.createSnapshot(c1, 's0');
      await fixture.write(c1, 'two');
      await snapshots.createSnapshot(c1, 's1');
      const elsewhere = { ...c1, pool: await fixture.driver.createPool(fixture.otherPool) };

      for (const target of [c2, elsewhere]) {
        await snapshots.copyVolume({ source: c1, sourceSnapshot: '', target, snapshots: ['s0', 's1'], sizeBytes: 0 });
        expect([await fixture.read(target), await fixture.read(target, 's0'), await fixture.read(target, 's1'), await names(target)]).toEqual(['two', 'one', 'two', ['s0', 's1']]);
        await fixture.write(target, 'own');
      }

      expect(await fixture.read(c1)).toBe('two');
    });

    it('bring a copy up to date, in the same pool and another, to be undone or finished', async () => {
      await snapshots.createSnapshot(c1, 's0');
      const elsewhere = { ...c1, pool: await fixture.driver.createPool(fixture.otherPool) };

      for (const target of [c2, elsewhere]) {
        await fixture.write(c1, 'one');
        await snapshots.copyVolume({ source: c1, sourceSnapshot: '', target, snapshots: ['s0'], sizeBytes: 0 });
        await fixture.write(target, 'own');
        await snapshots.createSnapshot(target, 'mine');
        await fixture.write(c1, 'two');
        await snapshots.createSnapshot(c1, 's1');
        const request = { source: c1, sourceSnapshot: '', target, snapshots: ['s1'], sizeBytes: 0 };

        await snapshots.refreshVolume(request, token);
        await snapshots.refreshVolume(request, token);
        expect([await fixture.read(target), await fixture.read(target, 's1'), await names(target)]).toEqual(['two', 'two', ['mine', 's0', 's1']]);

        await snapshots.undoRestore(target, token);
        expect([await fixture.read(target), await fixture.read(c1)]).toEqual(['own', 'two']);

        await snapshots.refreshVolume({ ...request, sourceSnapshot: 's0', snapshots: [] }, token);
        await snapshots.finishRestore(target, token);
        await fixture.write(target, 'mine again');
        expect([await fixture.read(target), await fixture.read(target, 's0'), await fixture.read(c1), await fixture.read(c1, 's0')]).toEqual(['mine again', 'one', 'two', 'one']);
        expect(await fixture.scratch(target)).toEqual([]);
        await snapshots.destroySnapshot(c1, 's1');
      }
    });

    it('refresh nothing that is not there, from nothing that is not there', async () => {
      const request = { source: c1, sourceSnapshot: '', target: c2, snapshots: [], sizeBytes: 0 };

      expect(await kindOf(snapshots.refreshVolume(request, token))).toBe('not-found');
      expect(await kindOf(snapshots.refreshVolume({ ...request, source: c2, target: c1 }, token))).toBe('not-found');
      expect(await fixture.read(c1)).toBe('one');
      expect(await fixture.scratch(c1)).toEqual([]);
    });

    it('leave nothing of a copy of what is not there', async () => {
      const request = { source: c1, sourceSnapshot: 'no', target: c2, snapshots: [], sizeBytes: 0 };

      expect(await kindOf(snapshots.copyVolume(request))).toBe('not-found');
      expect((await fixture.driver.listVolumes(c1.pool)).map(({ name }) => name)).toEqual(['c1']);
      expect(await fixture.scratch(c1)).toEqual([]);
    });
  });
}
