import { describeStorageDriver, describeVolumeSnapshots, describeVolumeTransfer, type VolumeTransferFixture } from '#ports/testing';
import { FakeFaults } from './fake-faults.js';
import { FakeStorageDriver } from './fake-storage.driver.js';
import { FakeVolumeSnapshots } from './fake-volume-snapshots.js';
import { FakeVolumeTransfer } from './fake-volume-transfer.js';

for (const driverName of ['dir', 'btrfs']) {
  describeStorageDriver(`fake ${driverName}`, async () => {
    const driver = new FakeStorageDriver(new FakeFaults());
    driver.images.add('a'.repeat(64));
    return {
      driver,
      pool: { name: 'p1', driver: driverName, config: {} },
      imageFingerprint: 'a'.repeat(64),
      restart: async () => driver,
      close: async () => {},
    };
  });
}

for (const driverName of ['dir', 'btrfs']) {
  const fixture = async (): Promise<VolumeTransferFixture> => {
    const driver = new FakeStorageDriver(new FakeFaults());
    return {
      driver,
      snapshots: new FakeVolumeSnapshots(driver),
      transfers: new FakeVolumeTransfer(driver),
      pool: { name: 'p1', driver: driverName, config: {} },
      otherPool: { name: 'p2', driver: driverName === 'dir' ? 'btrfs' : 'dir', config: {} },
      write: async (volume, content) => { driver.volume(volume).content = content; },
      read: async (volume, snapshot) => (snapshot === undefined ? driver.volume(volume).content : driver.volume(volume).snapshots.get(snapshot) ?? ''),
      scratch: async (volume) => [...(driver.pools.get(volume.pool.name)?.volumes.get(`container/${volume.name}`)?.formers.keys() ?? [])],
      close: async () => {},
    };
  };
  describeVolumeSnapshots(`the fake ${driverName}`, fixture);
  describeVolumeTransfer(`the fake ${driverName}`, fixture);
}
