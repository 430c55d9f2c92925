import { existsSync } from 'node:fs';
import { invalid } from '#kernel';
import { listNames, type Api } from './api.js';
import { emptyPreseed, type Preseed } from './preseed.js';

/** Flags of `init`; numbers are -1 and texts empty where absent, as in LXD. */
export interface InitFlags {
  readonly auto: boolean;
  readonly minimal: boolean;
  readonly preseed: boolean;
  readonly dump: boolean;
  readonly networkAddress: string;
  readonly networkPort: number;
  readonly storageBackend: string;
  readonly storageCreateDevice: string;
  readonly storageCreateLoop: number;
  readonly storagePool: string;
  readonly trustPassword: string;
}

/** Refuses combinations with LXD's words. */
export function checkFlags(flags: InitFlags): void {
  if (flags.auto && flags.preseed) throw invalid("Can't use --auto and --preseed together");
  if (flags.minimal && flags.preseed) throw invalid("Can't use --minimal and --preseed together");
  if (flags.minimal && flags.auto) throw invalid("Can't use --minimal and --auto together");
  const autoOnly = flags.networkAddress !== '' || flags.networkPort !== -1 || flags.storageBackend !== '' || flags.storageCreateDevice !== '' ||
    flags.storageCreateLoop !== -1 || flags.storagePool !== '' || flags.trustPassword !== '';
  if (!flags.auto && autoOnly) throw invalid('Configuration flags require --auto');
  if (flags.dump && (flags.auto || flags.minimal || flags.preseed || autoOnly)) throw invalid("Can't use --dump with other flags");
  // Where no backend is named these flags are refused as LXD refuses them, whose default is dir.
  const backend = flags.auto && flags.storageBackend === '' ? 'dir' : flags.storageBackend;
  if (backend === 'dir' && (flags.storageCreateDevice !== '' || flags.storageCreateLoop !== -1 || flags.storagePool !== '')) {
    throw invalid("None of --storage-pool, --storage-create-device or --storage-create-loop may be used with the 'dir' backend");
  }
  if (flags.storageCreateDevice !== '' && flags.storageCreateLoop !== -1) {
    throw invalid('Only one of --storage-create-device or --storage-create-loop can be specified');
  }
  if (flags.networkAddress === '') {
    if (flags.networkPort !== -1) throw invalid("--network-port can't be used without --network-address");
    if (flags.trustPassword !== '') throw invalid("--trust-password can't be used without --network-address");
  }
}

/** Drivers the server can make pools with, best first for a machine nobody configured. */
export async function availableBackends(api: Api): Promise<string[]> {
  const server = await api.get<{ environment: { storage_supported_drivers: { Name: string; Remote: boolean }[] } }>('/1.0');
  const local = server.environment.storage_supported_drivers.filter((driver) => !driver.Remote).map((driver) => driver.Name);
  return ['zfs', 'btrfs', 'lvm', 'dir'].filter((name) => local.includes(name));
}

/** `init --auto` and `--minimal`: one pool, one bridge with everything automatic, both in the default profile. */
export async function planAuto(api: Api, flags: InitFlags): Promise<Preseed> {
  const preseed = emptyPreseed();
  if (flags.networkAddress !== '') {
    const port = flags.networkPort === -1 ? 8443 : flags.networkPort;
    const host = flags.networkAddress.includes(':') && !flags.networkAddress.startsWith('[') ? `[${flags.networkAddress}]` : flags.networkAddress;
    preseed.config['core.https_address'] = `${host}:${port}`;
    if (flags.trustPassword !== '') preseed.config['core.trust_password'] = flags.trustPassword;
  }
  const devices: Record<string, Record<string, string>> = {};
  const pool = await planPool(api, flags, preseed);
  if (pool !== '') devices['root'] = { type: 'disk', path: '/', pool };
  const network = await planNetwork(api, preseed);
  if (network !== '') devices['eth0'] = { type: 'nic', name: 'eth0', network };
  if (Object.keys(devices).length > 0) preseed.profiles.push({ name: 'default', description: '', config: {}, devices });
  return preseed;
}

async function planPool(api: Api, flags: InitFlags, preseed: Preseed): Promise<string> {
  if (flags.storageBackend !== '' && !['btrfs', 'dir', 'lvm', 'zfs'].includes(flags.storageBackend)) {
    throw invalid(`The requested backend '${flags.storageBackend}' isn't supported by lxd init`);
  }
  const existing = await listNames(api, '/1.0/storage-pools');
  if (flags.storagePool !== '' && existing.includes(flags.storagePool)) return flags.storagePool;
  if (existing.length > 0) {
    if (flags.storageBackend === '' && flags.storagePool === '') return '';
    throw invalid('Storage has already been configured');
  }
  const backends = await availableBackends(api);
  // LXD's --auto takes dir; a loop file of btrfs costs nothing more and brings quotas and clones, so both take it here.
  const driver = flags.storageBackend || (backends.includes('btrfs') ? 'btrfs' : 'dir');
  if (!backends.includes(driver)) throw invalid(`The requested backend '${driver}' isn't available on your system (missing tools)`);
  const config: Record<string, string> = {};
  if (flags.storageCreateDevice !== '') config['source'] = flags.storageCreateDevice;
  if (flags.storageCreateLoop > 0) config['size'] = `${flags.storageCreateLoop}GiB`;
  const name = flags.storagePool === '' ? 'default' : flags.storagePool;
  preseed.storage_pools.push({ name, driver, description: '', config });
  return name;
}

async function planNetwork(api: Api, preseed: Preseed): Promise<string> {
  const networks = await api.get<{ name: string; managed: boolean }[]>('/1.0/networks?recursion=1');
  if (networks.some((network) => network.managed)) return '';
  let index = 0;
  while (existsSync(`/sys/class/net/lxdbr${index}`)) index++;
  const name = `lxdbr${index}`;
  preseed.networks.push({ name, type: '', description: '', config: { 'ipv4.address': 'auto', 'ipv6.address': 'auto' }, project: 'default' });
  return name;
}
