import { describeStorageDriver } from '#ports/testing';
import { FakeFaults } from './fake-faults.js';
import { FakeStorageDriver } from './fake-storage.driver.js';

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
