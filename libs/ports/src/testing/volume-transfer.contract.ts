import { createReadStream, createWriteStream, statSync } from 'node:fs';
import net from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '#kernel';
import type { PoolSpec, VolumeSpec } from '../storage.port.js';
import type { TransferFormat, VolumeTransfer } from '../volume-transfer.port.js';
import type { VolumeSnapshotsFixture } from './volume-snapshots.contract.js';

export interface VolumeTransferFixture extends VolumeSnapshotsFixture {
  readonly transfers: VolumeTransfer;
}

const endpointUid = process.getuid?.() ?? 0;
const endpointGid = process.getgid?.() ?? 0;
const never = new AbortController().signal;

/** What every driver that can send and receive volumes owes its callers. Both ends are pools of one host here, in all their formats. */
export function describeVolumeTransfer(title: string, makeFixture: () => Promise<VolumeTransferFixture>): void {
  describe(`transfers of ${title}`, () => {
    let fixture: VolumeTransferFixture;
    let c1: VolumeSpec;
    let other: PoolSpec;

    beforeEach(async () => {
      fixture = await makeFixture();
      const pool = await fixture.driver.createPool(fixture.pool);
      other = await fixture.driver.createPool(fixture.otherPool);
      c1 = { pool, kind: 'container', name: 'c1' };
      await fixture.driver.createVolume({ volume: c1, imageFingerprint: '', sizeBytes: 0 });
      for (const [snapshot, content] of [['s0', 'one'], ['volume', 'two']] as const) {
        await fixture.write(c1, content);
        await fixture.snapshots.createSnapshot(c1, snapshot);
      }
      await fixture.write(c1, 'three');
    });
    afterEach(() => fixture?.close());

    const kindOf = async (work: Promise<unknown>): Promise<string> =>
      work.then(() => 'no error', (error: unknown) => (error instanceof AppError ? error.kind : String(error)));
    const names = async (pool: PoolSpec): Promise<string[]> => (await fixture.driver.listVolumes(pool)).map(({ name }) => name).sort();

    async function common(target: PoolSpec): Promise<TransferFormat[]> {
      const [ours, theirs] = await Promise.all([fixture.transfers.transferFormats(c1.pool), fixture.transfers.transferFormats(target)]);
      return ours.filter((format) => theirs.includes(format));
    }

    async function transfer(target: VolumeSpec, format: TransferFormat, snapshots = ['s0', 'volume'], sourceSnapshot = '', refreshToken = '', parents: Readonly<Record<string, string>> = {}): Promise<void> {
      const { transfers } = fixture;
      const sent = await transfers.sendVolume({ volume: c1, snapshots, format, sourceSnapshot, parents, endpointUid, endpointGid });
      const received = await transfers.receiveVolume({ volume: target, snapshots, format, sizeBytes: 0, refreshToken, endpointUid, endpointGid });
      const [from, to] = [openToRead(sent.path), openToWrite(received.path)];
      const results = await Promise.allSettled([pipeline(from, to), transfers.waitTransfer(sent.sessionId, never), transfers.waitTransfer(received.sessionId, never)]);
      for (const result of results.reverse()) if (result.status === 'rejected') throw result.reason;
    }

    it('arrive whole, with their snapshots, in every format both ends know, in the same kind of pool and the other', async () => {
      for (const pool of [c1.pool, other]) {
        const formats = await common(pool);
        expect(formats).toContain('tar');
        for (const format of formats) {
          const target = { ...c1, pool, name: `by-${format}` };
          await transfer(target, format);
          expect([await fixture.read(target), await fixture.read(target, 's0'), await fixture.read(target, 'volume')]).toEqual(['three', 'one', 'two']);
          expect((await fixture.snapshots.listSnapshots(target)).sort()).toEqual(['s0', 'volume']);
          expect(await fixture.scratch(target)).toEqual([]);
          await fixture.write(target, 'own');
          await fixture.snapshots.restoreSnapshot(target, 's0', 'abc', false);
          expect([await fixture.read(target), await fixture.read(c1)]).toEqual(['one', 'three']);
          await fixture.snapshots.finishRestore(target, 'abc');
        }
      }
    });

    it('can be of a snapshot alone', async () => {
      for (const format of await common(c1.pool)) {
        const target = { ...c1, name: `by-${format}` };
        await transfer(target, format, [], 's0');
        expect([await fixture.read(target), await fixture.snapshots.listSnapshots(target)]).toEqual(['one', []]);
      }
      expect(await fixture.scratch(c1)).toEqual([]);
    });

    it('leave nothing, and say why, when the volume or a snapshot is not there', async () => {
      for (const format of await common(c1.pool)) await expect(transfer({ ...c1, name: 'c9' }, format, ['no'])).rejects.toThrow();

      expect(await names(c1.pool)).toEqual(['c1']);
      expect(await fixture.scratch(c1)).toEqual([]);
    });

    it('do not replace a volume that is there', async () => {
      const format = (await common(other))[0]!;
      const target = { ...c1, pool: other };
      await transfer(target, format);
      await fixture.write(target, 'own');

      expect(await kindOf(transfer(target, format))).toBe('conflict');
      expect(await fixture.read(target)).toBe('own');
    });

    it('refresh a volume that is there, to be undone or finished', async () => {
      for (const pool of [c1.pool, other]) {
        for (const format of await common(pool)) {
          const target = { ...c1, pool, name: `by-${format}` };
          await transfer(target, format, ['s0']);
          await fixture.write(target, 'own');

          await transfer(target, format, ['volume'], '', 'abc');
          await transfer(target, format, ['volume'], '', 'abc');
          expect([await fixture.read(target), await fixture.read(target, 's0'), await fixture.read(target, 'volume')]).toEqual(['three', 'one', 'two']);

          await fixture.snapshots.undoRestore(target, 'abc');
          expect(await fixture.read(target)).toBe('own');
          await transfer(target, format, [], 's0', 'def');
          await fixture.snapshots.finishRestore(target, 'def');
          expect([await fixture.read(target), await fixture.scratch(target)]).toEqual(['one', []]);
        }
      }
    });

    it('are of differences to snapshots that both ends have, where the driver tells them apart', async () => {
      for (const format of (await common(c1.pool)).filter((one) => one !== 'tar')) {
        const target = { ...c1, name: `by-${format}` };
        const sentAs = async (volume: VolumeSpec, name: string): Promise<string | undefined> =>
          (await fixture.transfers.identifySnapshots(volume)).find(({ snapshot }) => snapshot === name)?.ids.at(-1);
        await transfer(target, format, ['s0']);
        expect(await sentAs(target, 's0')).toBe(await sentAs(c1, 's0'));
        expect(await sentAs(c1, 's0')).not.toBe(await sentAs(c1, 'volume'));

        await transfer(target, format, ['volume'], '', 'abc', { volume: 's0', '': 's0' });
        expect([await fixture.read(target), await fixture.read(target, 's0'), await fixture.read(target, 'volume')]).toEqual(['three', 'one', 'two']);
        await fixture.snapshots.finishRestore(target, 'abc');

        // What has come is sent on under the id it came with.
        await transfer({ ...c1, name: 'onward' }, format, ['s0']);
        expect(await sentAs({ ...c1, name: 'onward' }, 's0')).toBe(await sentAs(target, 's0'));
      }
    });

    it('leave nothing where the stream breaks', async () => {
      for (const format of await common(c1.pool)) {
        const received = await fixture.transfers.receiveVolume({ volume: { ...c1, name: 'c9' }, snapshots: ['s0'], format, sizeBytes: 0, endpointUid, endpointGid });
        openToWrite(received.path).end(format === 'tar' ? '' : 'btrfs');

        await expect(fixture.transfers.waitTransfer(received.sessionId, never)).rejects.toThrow();
        expect(await names(c1.pool)).toEqual(['c1']);
        expect(await fixture.scratch(c1)).toEqual([]);
      }
    });

    it('end when they are given up, at either end', async () => {
      const format = (await common(c1.pool))[0]!;
      const abort = new AbortController();
      const received = await fixture.transfers.receiveVolume({ volume: { ...c1, name: 'c9' }, snapshots: [], format, sizeBytes: 0, endpointUid, endpointGid });
      const to = openToWrite(received.path);
      to.on('error', () => undefined);
      const waiting = fixture.transfers.waitTransfer(received.sessionId, abort.signal);
      setTimeout(() => abort.abort(), 50);

      await expect(waiting).rejects.toMatchObject({ kind: 'unavailable' });
      to.destroy();
      expect(await names(c1.pool)).toEqual(['c1']);
    });
  });
}

function openToRead(path: string): Readable {
  return statSync(path).isSocket() ? net.connect({ path, allowHalfOpen: true }) : createReadStream(path);
}

function openToWrite(path: string): Writable {
  return statSync(path).isSocket() ? net.connect({ path, allowHalfOpen: true }) : createWriteStream(path);
}
