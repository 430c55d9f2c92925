import { existsSync } from 'node:fs';
import { notImplemented } from '#kernel';
import { listNames, type Api } from './api.js';
import { availableBackends } from './auto.js';
import { preseedYaml } from './dump.js';
import { askCluster } from './ask-cluster.js';
import { emptyPreseed, type Preseed } from './preseed.js';
import { invalidInput, type Questions } from './questions.js';

/** The questions of `lxd init` in their order. Returns what to apply. */
export async function askPreseed(api: Api, ask: Questions): Promise<Preseed> {
  const preseed = emptyPreseed();
  const devices: Record<string, Record<string, string>> = {};
  const cluster = await askCluster(api, ask);
  if (cluster !== null) preseed.cluster = cluster;
  if (cluster !== null && cluster.cluster_address !== '') {
    // Everything else is the cluster's.
    await askForYaml(ask, { ...preseed, cluster: { ...cluster, cluster_password: '' } });
    return preseed;
  }
  if (cluster !== null) {
    preseed.config['core.https_address'] = cluster.server_address;
    if (await ask.yes('Setup password authentication on the cluster?', false)) preseed.config['core.trust_password'] = await ask.password('Trust password for new clients', { again: true });
    await askLocalPool(api, ask, preseed, devices);
    if (await ask.yes('Do you want to configure a new remote storage pool?', false)) throw notImplemented('Roost has no remote storage drivers yet');
  } else await askStorage(api, ask, preseed, devices);
  // Asked for the sake of scripts that answer by position.
  if (await ask.yes('Would you like to connect to a MAAS server?', false)) throw notImplemented('Roost does not work with MAAS');
  await askNetworking(api, ask, preseed, devices, cluster !== null);
  if (Object.keys(devices).length > 0) preseed.profiles.push({ name: 'default', description: '', config: {}, devices });
  await askDaemon(ask, preseed, cluster !== null);
  await askForYaml(ask, preseed);
  return preseed;
}

async function askForYaml(ask: Questions, preseed: Preseed): Promise<void> {
  if (await ask.yes('Would you like a YAML "lxd init" preseed to be printed?', false)) process.stdout.write(`${preseedYaml(preseed)}\n`);
}

/** In a cluster each member's own pool has one name. */
async function askLocalPool(api: Api, ask: Questions, preseed: Preseed, devices: Record<string, Record<string, string>>): Promise<void> {
  if (await ask.yes('Do you want to configure a new local storage pool?', true)) await askPool(api, ask, preseed, devices, 'local');
}

async function askStorage(api: Api, ask: Questions, preseed: Preseed, devices: Record<string, Record<string, string>>): Promise<void> {
  const existing = await listNames(api, '/1.0/storage-pools');
  if (!(await ask.yes('Do you want to configure a new storage pool?', true))) return;
  const name = await ask.text('Name of the new storage pool', 'default', (answer) =>
    existing.includes(answer) ? `The requested storage pool "${answer}" already exists. Please choose another name.` : null);
  await askPool(api, ask, preseed, devices, name);
}

async function askPool(api: Api, ask: Questions, preseed: Preseed, devices: Record<string, Record<string, string>>, name: string): Promise<void> {
  const backends = await availableBackends(api);
  const first = backends[0] ?? 'dir';
  const driver = backends.length > 1
    ? await ask.text(`Name of the storage backend to use (${backends.join(', ')})`, first, (answer) => (backends.includes(answer) ? null : invalidInput))
    : first;
  const config: Record<string, string> = {};
  if (driver !== 'dir') {
    if (await ask.yes(`Create a new ${driver.toUpperCase()} pool?`, true)) {
      if (await ask.yes('Would you like to use an existing empty block device (e.g. a disk or partition)?', false)) {
        config['source'] = await ask.text('Path to the existing block device', '', (answer) => (existsSync(answer) ? null : `"${answer}" does not exist`));
      } else {
        const size = await ask.text('Size in GiB of the new loop device (1GiB minimum)', '30GiB', (answer) =>
          /^[1-9]\d*(GiB)?$/.test(answer) ? null : invalidInput);
        config['size'] = size.endsWith('GiB') ? size : `${size}GiB`;
      }
    } else {
      config['source'] = await ask.text(`Name of the existing ${driver.toUpperCase()} pool or dataset`, '');
    }
  }
  preseed.storage_pools.push({ name, driver, description: '', config });
  devices['root'] = { type: 'disk', path: '/', pool: name };
}

async function askNetworking(api: Api, ask: Questions, preseed: Preseed, devices: Record<string, Record<string, string>>, clustered: boolean): Promise<void> {
  // A bridge of this host's own is of no use to the other members.
  if (!clustered && (await ask.yes('Would you like to create a new local network bridge?', true))) {
    const existing = await listNames(api, '/1.0/networks');
    const name = await ask.text('What should the new bridge be called?', 'lxdbr0', (answer) =>
      existing.includes(answer) ? `The requested network bridge "${answer}" already exists. Please choose another name.` : null);
    const config: Record<string, string> = {};
    for (const family of ['IPv4', 'IPv6'] as const) {
      const key = family.toLowerCase();
      config[`${key}.address`] = await ask.text(`What ${family} address should be used? (CIDR subnet notation, “auto” or “none”)`, 'auto', (answer) =>
        answer === 'auto' || answer === 'none' || /^[0-9a-fA-F.:]+\/\d+$/.test(answer) ? null : `Invalid input: invalid CIDR address: ${answer}`);
      if (!['auto', 'none'].includes(config[`${key}.address`]!)) {
        config[`${key}.nat`] = String(await ask.yes(`Would you like LXD to NAT ${family} traffic on your bridge?`, true));
      }
    }
    preseed.networks.push({ name, type: '', description: '', config, project: 'default' });
    devices['eth0'] = { type: 'nic', name: 'eth0', network: name };
    return;
  }
  if (await ask.yes('Would you like to configure LXD to use an existing bridge or host interface?', false)) {
    const parent = await ask.text('Name of the existing bridge or host interface', '', (answer) =>
      existsSync(`/sys/class/net/${answer}`) ? null : "The requested interface doesn't exist. Please choose another one.");
    const bridge = existsSync(`/sys/class/net/${parent}/bridge`);
    devices['eth0'] = { type: 'nic', name: 'eth0', nictype: bridge ? 'bridged' : 'macvlan', parent };
  }
}

async function askDaemon(ask: Questions, preseed: Preseed, clustered: boolean): Promise<void> {
  if (!clustered && (await ask.yes('Would you like the LXD server to be available over the network?', false))) {
    const address = await ask.text('Address to bind LXD to (not including port)', 'all');
    const port = await ask.text('Port to bind LXD to', '8443', (answer) =>
      /^\d+$/.test(answer) ? null : `Invalid input: strconv.ParseInt: parsing "${answer}": invalid syntax`);
    const host = address === 'all' ? '[::]' : address.includes(':') && !address.startsWith('[') ? `[${address}]` : address;
    preseed.config['core.https_address'] = `${host}:${port}`;
    const password = await ask.text('Trust password for new clients ("none" for no password)', 'none');
    if (password !== 'none') preseed.config['core.trust_password'] = password;
  }
  if (!(await ask.yes('Would you like stale cached images to be updated automatically?', true))) preseed.config['images.auto_update_interval'] = '0';
}
