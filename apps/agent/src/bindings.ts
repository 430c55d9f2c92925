import { unavailable, type Logger, type StateDirectory } from '#kernel';
import { CommandRunner, Dnsmasq, Ip, Nft } from '#host';
import { BridgeNetworkDriver } from '#drivers/network-bridge';
import { NftFirewall } from '#drivers/firewall-nft';
import { LinuxHostInfo } from '#drivers/host-info';
import { FileImageStore } from '#drivers/image-store';
import { BtrfsStorageDriver } from '#drivers/storage-btrfs';
import { DirStorageDriver } from '#drivers/storage-dir';
import type { ExecSessions, HostInfo, ImageStore, InstanceDriver, InstanceLogs, NetworkDriver, StorageDriver } from '#ports';
import { RoutingStorageDriver } from './routing-storage.driver.js';
import type { DaemonUser } from './state-preparation.js';

export interface BindingOptions {
  readonly state: StateDirectory;
  readonly stateId: string;
  readonly logger: Logger;
  readonly daemon: DaemonUser;
}

/** The ports, each carried out by a driver on this host. */
export interface BoundDrivers {
  readonly storage: StorageDriver;
  readonly images: ImageStore;
  readonly network: NetworkDriver;
  readonly instances: InstanceDriver;
  readonly exec: ExecSessions;
  readonly logs: InstanceLogs;
  readonly host: HostInfo;
  close(): Promise<void>;
}

export async function bindDrivers(options: BindingOptions): Promise<BoundDrivers> {
  const { state, stateId, logger } = options;
  const command = new CommandRunner(logger);
  const firewall = new NftFirewall({ nft: new Nft(command), state, stateId, logger });
  const storage = new RoutingStorageDriver(new Map<string, StorageDriver>([
    ['btrfs', new BtrfsStorageDriver({ state, command, logger })],
    ['dir', new DirStorageDriver({ state, command, logger })],
  ]));
  const missing = new Proxy({}, { get: () => async () => { throw unavailable('not there yet'); } });
  return {
    storage,
    images: new FileImageStore({ state, command, logger }),
    network: new BridgeNetworkDriver({ ip: new Ip(command), dnsmasq: new Dnsmasq(command), firewall, state, stateId, logger }),
    instances: missing as InstanceDriver, exec: missing as ExecSessions, logs: missing as InstanceLogs,
    host: new LinuxHostInfo({ state, command, logger, firewall: firewall.name }),
    close: async () => {},
  };
}
