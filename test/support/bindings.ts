import type { StateDirectory } from '#kernel';
import { ExecSessions, HostInfo, ImageStore, InstanceCheckpoints, InstanceDriver, InstanceFiles, InstanceLogs, NetworkDriver, ServerDirectories, StorageDriver, VolumeArchives, VolumeMigration, VolumeSnapshots, VolumeTransfer } from '#ports';
import { FakeExecSessions, FakeFaults, FakeHostInfo, FakeImageStore, FakeInstanceCheckpoints, FakeInstanceDriver, FakeInstanceLogs, FakeNetworkDriver, FakeServerDirectories, FakeStorageDriver, FakeVolumeArchives, FakeVolumeMigration, FakeVolumeSnapshots, FakeVolumeTransfer } from '#drivers/fake';
import { FakeInstanceFiles } from '../../libs/features/instances/src/testing/fake-files.js';
import type { PortBindings } from '../../apps/daemon/src/bindings.js';

/** The ports, each carried out by a host in memory; `faults` makes it misbehave. */
export function fakeBindings(state: StateDirectory, faults = new FakeFaults()): PortBindings {
  const images = new FakeImageStore(faults, state);
  const storage = new FakeStorageDriver(faults, { imageStore: images });
  const transfers = new FakeVolumeTransfer(storage, faults);
  const instances = new FakeInstanceDriver(faults);
  return [
    { provide: StorageDriver, useValue: storage },
    { provide: VolumeSnapshots, useValue: new FakeVolumeSnapshots(storage, faults) },
    { provide: VolumeMigration, useValue: new FakeVolumeMigration(storage, faults) },
    { provide: VolumeTransfer, useValue: transfers },
    { provide: ServerDirectories, useValue: new FakeServerDirectories(storage, faults) },
    { provide: VolumeArchives, useValue: new FakeVolumeArchives(storage, transfers, faults) },
    { provide: ImageStore, useValue: images },
    { provide: NetworkDriver, useValue: new FakeNetworkDriver(faults) },
    { provide: InstanceDriver, useValue: instances },
    { provide: InstanceCheckpoints, useValue: new FakeInstanceCheckpoints(instances, faults) },
    { provide: ExecSessions, useValue: new FakeExecSessions(faults) },
    { provide: InstanceFiles, useValue: new FakeInstanceFiles() },
    { provide: InstanceLogs, useValue: new FakeInstanceLogs(faults) },
    { provide: HostInfo, useValue: new FakeHostInfo(faults) },
  ];
}
