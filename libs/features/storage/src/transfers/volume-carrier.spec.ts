import { duplexPair, type Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SilentLogger } from '#kernel';
import type { VolumeSpec } from '#ports';
import { FakeFaults, FakeStorageDriver, FakeVolumeMigration, FakeVolumeTransfer } from '#drivers/fake';
import { PieceCarrier } from './piece-carrier.js';
import { VolumeCarrier, type CarrierOffer, type CarrierOrder } from './volume-carrier.js';

const watch = { signal: new AbortController().signal, progress: () => undefined };
const token = 'ab';

class Member {
  readonly faults = new FakeFaults();
  readonly storage = new FakeStorageDriver(this.faults);
  readonly carrier = new VolumeCarrier(new FakeVolumeTransfer(this.storage, this.faults), new PieceCarrier(new FakeVolumeMigration(this.storage, this.faults)), new SilentLogger());
  volume: VolumeSpec | undefined;

  async make(driver: string, content: string, snapshots: readonly (readonly [string, string])[]): Promise<void> {
    const pool = await this.storage.createPool({ name: 'p', driver, config: {} });
    this.volume = { pool, kind: 'custom', name: 'v' };
    this.storage.adopt(this.volume, { content, snapshots: new Map(snapshots), sizeBytes: 0 });
  }

  get content(): unknown[] {
    const { content, snapshots } = this.storage.volume(this.volume!);
    return [content, Object.fromEntries(snapshots)];
  }
}

describe('a volume that is brought up to date from another member', () => {
  let source: Member;
  let target: Member;
  let orders: CarrierOrder[];
  let streams: Duplex[];
  const settle = async (drivers: readonly [string, string]): Promise<void> => {
    await source.make(drivers[0], 'new', [['s0', 'one'], ['s1', 'two']]);
    await target.make(drivers[1], 'old', [['s0', 'one']]);
  };
  beforeEach(() => {
    [source, target, orders, streams] = [new Member(), new Member(), [], []];
  });
  afterEach(() => { for (const stream of streams) stream.destroy(); });

  async function refresh(change: (offer: CarrierOffer) => CarrierOffer = (offer) => offer, refreshToken = token): Promise<void> {
    const offer = change(await source.carrier.offer(source.volume!, await target.carrier.known(target.volume!)));
    await target.carrier.fetch({ volume: target.volume!, snapshots: ['s1'], sizeBytes: 0, refreshToken, name: 'v', offer }, async (order) => {
      orders.push(order);
      const [here, there] = duplexPair();
      streams.push(here, there);
      there.on('error', () => undefined);
      source.carrier.send({ volume: source.volume!, snapshots: ['s1'], sourceSnapshot: '', history: ['s0', 's1'], ...order }, there, watch.signal).catch((error: Error) => here.destroy(error));
      return here;
    }, watch);
  }

  it.each([
    ['the difference to a snapshot both have', ['btrfs', 'btrfs'], [{ format: 'btrfs', bases: ['s0'] }]],
    ['the difference to its files', ['dir', 'dir'], [{ format: 'rsync', bases: [] }]],
    ['that on pools of two kinds', ['dir', 'btrfs'], [{ format: 'rsync', bases: [] }]],
  ] as const)('gets %s', async (_what, drivers, expected) => {
    await settle(drivers);

    await refresh();

    expect(orders).toEqual(expected);
    expect(target.content).toEqual(['new', { s0: 'one', s1: 'two' }]);
  });

  it('gets the difference to its files where no snapshot is the same, or the one that was is not', async () => {
    await settle(['btrfs', 'btrfs']);
    target.storage.volume(target.volume!).snapshots.set('s0', 'own');
    await refresh();
    expect(orders).toEqual([{ format: 'rsync', bases: [] }]);

    await refresh((offer) => ({ ...offer, bases: ['s0'] }), 'cd');
    expect(orders.slice(1)).toEqual([{ format: 'btrfs', bases: ['s0'] }, { format: 'rsync', bases: [] }]);
    expect(target.content).toEqual(['new', { s0: 'own', s1: 'two' }]);
  });

  it.each([['btrfs', ['btrfs', 'tar']], ['tar', ['tar']]] as const)('gets all of it, by %s, from a member that can do no other', async (format, formats) => {
    await settle(['btrfs', 'btrfs']);

    await refresh(() => ({ formats }));

    expect(orders).toEqual([{ format, bases: [] }]);
    expect(target.content).toEqual(['new', { s0: 'one', s1: 'two' }]);
  });

  it.each([
    ['source', 'sendPieces'], ['source', 'openPiece'], ['source', 'received'], ['target', 'receivePieces'], ['target', 'openPiece'], ['target', 'received'],
  ] as const)('stays what it was when the %s fails: %s', async (who, point) => {
    await settle(['dir', 'dir']);
    ({ source, target })[who].faults.fail(`migration.${point}`);

    await expect(refresh()).rejects.toThrow(`Injected failure of migration.${point}`);

    expect(target.content).toEqual(['old', { s0: 'one' }]);
  });
});
