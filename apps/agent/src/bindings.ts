import type { Logger, StateDirectory } from '#kernel';
import { CommandRunner, Dnsmasq, Ip, Nft } from '#host';
import { BridgeNetworkDriver } from '#drivers/network-bridge';
import { NftFirewall } from '#drivers/firewall-nft';
import { LinuxHostInfo } from '#drivers/host-info';
import { FileImageStore } from '#drivers/image-store';
import { LxcHost, policyForPlainDaemon, policyForRootDaemon, readHostPolicy } from '#drivers/instance-lxc';
import { BtrfsStorageDriver } from '#drivers/storage-btrfs';
import { DirStorageDriver } from '#drivers/storage-dir';
import { LocalServerDirectories } from '#drivers/server-directories';
import { LocalVolumeArchives } from '#drivers/volume-archives';
import { LocalVolumeMigration } from '#drivers/volume-migration';
import type { ExecSessions, HostInfo, ImageStore, InstanceCheckpoints, InstanceDriver, InstanceFiles, InstanceLogs, NetworkDriver, ServerDirectories, StorageDriver, VolumeArchives, VolumeMigration, VolumeSnapshots, VolumeTransfer } from '#ports';
import { RoutingStorageDriver } from './routing-storage.driver.js';
import { RoutingVolumeSnapshots } from './routing-volume-snapshots.js';
import { VolumeTransferSessions } from './volume-transfer-sessions.js';
import { movableDirectories, type DaemonUser } from './state-preparation.js';

/** Root's own word on what a daemon may ask for (hazards E4); absent means the default. */
const policyFile = '/etc/roost/policy.json';

export interface BindingOptions {
  readonly state: StateDirectory;
  readonly stateId: string;
  readonly logger: Logger;
  readonly daemon: DaemonUser;
}

/** The ports, each carried out by a driver on this host. */
export interface BoundDrivers {
  readonly storage: StorageDriver;
  readonly snapshots: VolumeSnapshots;
  readonly transfers: VolumeTransfer;
  readonly migrations: VolumeMigration;
  readonly archives: VolumeArchives;
  readonly directories: ServerDirectories;
  readonly images: ImageStore;
  readonly network: NetworkDriver;
  readonly instances: InstanceDriver;
  readonly exec: ExecSessions;
  readonly logs: InstanceLogs;
  readonly files: InstanceFiles;
  readonly checkpoints: InstanceCheckpoints;
  readonly host: HostInfo;
  close(): Promise<void>;
}

export async function bindDrivers(options: BindingOptions): Promise<BoundDrivers> {
  const { state, stateId, logger } = options;
  const command = new CommandRunner(logger);
  const firewall = new NftFirewall({ nft: new Nft(command), state, stateId, logger });
  const pools = new Map<string, BtrfsStorageDriver | DirStorageDriver>([
    ['btrfs', new BtrfsStorageDriver({ state, command, logger })],
    ['dir', new DirStorageDriver({ state, command, logger })],
  ]);
  const storage = new RoutingStorageDriver(pools);
  const streams = new Map([...pools].map(([name, driver]) => [name, driver.streams]));
  const transfers = new VolumeTransferSessions({ directory: `${state.run}/transfer`, drivers: streams, logger });
  const migrations = new LocalVolumeMigration({ state, command, directory: `${state.run}/migration`, drivers: streams, logger });
  const containers = new LxcHost({
    state, stateId, commands: command, logger, daemon: options.daemon, firewall, volumeUsage: (volume) => storage.describeVolume(volume),
    policy: readHostPolicy(policyFile, options.daemon.uid === 0 ? policyForRootDaemon : policyForPlainDaemon),
  });
  const images = new FileImageStore({ state, command, logger });
  await containers.open();
  return {
    storage,
    snapshots: new RoutingVolumeSnapshots(new Map([...pools].map(([name, driver]) => [name, driver.snapshots])), storage),
    transfers,
    migrations,
    archives: new LocalVolumeArchives({ state, command, storage, drivers: streams, startSending: (endpoint, work) => transfers.startSending(endpoint, work) }),
    directories: new LocalServerDirectories({ state, command, storage, imagesLock: images.lock, empty: movableDirectories(options.daemon) }),
    images,
    network: new BridgeNetworkDriver({ ip: new Ip(command), dnsmasq: new Dnsmasq(command), firewall, state, stateId, logger }),
    instances: containers.instances,
    exec: containers.exec,
    logs: containers.logs,
    files: containers.files,
    checkpoints: containers.checkpoints,
    host: new LinuxHostInfo({ state, command, logger, firewall: firewall.name }),
    close: async () => {
      await transfers.close();
      await migrations.close();
      containers.close();
    },
  };
}
