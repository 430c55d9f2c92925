import { invalid, isFalse, isTrue } from '#kernel';
import { formatIp, isListOf, parseCidr, subnetContains } from '../checks/address.checks.js';
import { isCompression } from '../checks/compression.checks.js';
import { isSize, isUint32 } from '../checks/value.checks.js';
import { isOneOf, key, KeyGroup, type KeySpec } from '../key.js';

const architectures = ['x86_64', 'armv6l', 'aarch64', 'ppc64le', 's390x', 'riscv32', 'i686', 'mips', 'riscv64', 'ppc', 'armv7l', 'armv8l', 'ppc64', 'mips64'];

function isAbsolutePath(item: string): void {
  if (!item.startsWith('/')) throw invalid('Must be absolute file path');
}

/** A number of 32 bits, or two with a dash. */
function isIdRange(item: string): void {
  const isId = (text: string): boolean => /^\d+$/.test(text) && Number(text) <= 0xffff_ffff;
  const [, start = '', end] = /^([^-]*)(?:-(.*))?$/.exec(item) ?? [];
  if (!isId(start)) throw invalid(`Invalid number "${item}"`);
  if (end === undefined) return;
  if (!isId(end)) throw invalid(`Invalid end number "${item}"`);
  if (Number(start) >= Number(end)) throw invalid(`Start number ${start} must be lower than end number ${end}`);
}

const blockOrAllow = isOneOf('block', 'allow');
const managedToo = isOneOf('block', 'allow', 'managed');
const block = (short: string, check: KeySpec['check'] = blockOrAllow): KeySpec => key.string({ default: 'block', short, check });

const devices = ['gpu', 'infiniband', 'pci', 'proxy', 'unix-block', 'unix-char', 'unix-hotplug', 'usb'];

/** Keys of projects in LXD 5.0.2. */
export const projectKeys = new KeyGroup(
  'project',
  {
    'backups.compression_algorithm': key.string({ short: 'Compression of backups', check: isCompression }),
    'features.images': key.bool({ default: 'true', short: 'Images and aliases of its own' }),
    'features.networks': key.bool({ default: 'false', short: 'Networks of its own' }),
    'features.profiles': key.bool({ default: 'true', short: 'Profiles of its own' }),
    'features.storage.volumes': key.bool({ default: 'true', short: 'Custom volumes of its own' }),
    'images.auto_update_cached': key.bool({ short: 'Keep cached images up to date' }),
    'images.auto_update_interval': key.integer({ short: 'Hours between looks for newer images' }),
    'images.compression_algorithm': key.string({ short: 'Compression of new images', check: isCompression }),
    'images.default_architecture': key.string({ short: 'Architecture where several fit', check: isOneOf(...architectures) }),
    'images.remote_cache_expiry': key.integer({ short: 'Days an unused cached image is kept' }),
    'limits.containers': key.integer({ check: isUint32, short: 'Most containers' }),
    'limits.cpu': key.integer({ check: isUint32, short: 'Most CPUs of all instances together' }),
    'limits.disk': key.string({ check: isSize, short: 'Most disk space together' }),
    'limits.instances': key.integer({ check: isUint32, short: 'Most instances' }),
    'limits.memory': key.string({ check: isSize, short: 'Most memory of all instances together' }),
    'limits.networks': key.integer({ check: isUint32, short: 'Most networks' }),
    'limits.processes': key.integer({ check: isUint32, short: 'Most processes of all instances together' }),
    'limits.virtual-machines': key.integer({ check: isUint32, short: 'Most virtual machines' }),
    restricted: key.bool({ default: 'false', short: 'Whether the restrictions below apply' }),
    'restricted.backups': block('Backups'),
    'restricted.cluster.groups': key.string({ short: 'Cluster groups that may be named' }),
    'restricted.cluster.target': block('Naming a member'),
    'restricted.containers.interception': block('Interception of system calls', isOneOf('allow', 'block', 'full')),
    'restricted.containers.lowlevel': block('raw.* and volatile.* of containers'),
    'restricted.containers.nesting': block('Nesting'),
    'restricted.containers.privilege': key.string({ default: 'unprivileged', short: 'Most privilege of containers', check: isOneOf('allow', 'unprivileged', 'isolated') }),
    'restricted.devices.disk': key.string({ default: 'managed', short: 'Disk devices', check: managedToo }),
    'restricted.devices.disk.paths': key.string({ short: 'Where sources on the host must lie', check: isListOf(isAbsolutePath) }),
    'restricted.devices.nic': key.string({ default: 'managed', short: 'NIC devices', check: managedToo }),
    ...Object.fromEntries(devices.map((type) => [`restricted.devices.${type}`, block(`Devices of type ${type}`)])),
    'restricted.idmap.gid': key.string({ short: 'Group ids raw.idmap may name', check: isListOf(isIdRange) }),
    'restricted.idmap.uid': key.string({ short: 'User ids raw.idmap may name', check: isListOf(isIdRange) }),
    'restricted.networks.access': key.string({ short: 'Networks that may be used' }),
    'restricted.networks.subnets': key.string({ short: 'Subnets of uplinks that may be used' }),
    'restricted.networks.uplinks': key.string({ short: 'Uplinks that may be used' }),
    'restricted.networks.zones': key.string({ short: 'Zones that may be used' }),
    'restricted.snapshots': block('Snapshots'),
    'restricted.virtual-machines.lowlevel': block('raw.* and volatile.* of virtual machines'),
  },
  { 'user.': key.string({ short: 'Anything' }) },
);

/** What of a project's objects may be its own. */
export const projectFeatures = ['features.images', 'features.networks', 'features.profiles', 'features.storage.volumes'] as const;
export type ProjectFeature = (typeof projectFeatures)[number];

/** What a new project gets unless it says otherwise. */
export const newProjectFeatures: Readonly<Record<string, string>> = { 'features.images': 'true', 'features.profiles': 'true', 'features.storage.volumes': 'true' };

/** They concern what there is none of yet. */
const notEnforced: ReadonlySet<string> = new Set(['restricted.networks.zones']);

/** `UPLINK:SUBNET`, of which the uplink must have the subnet among its routes. */
function checkUplinkSubnet(text: string, uplinkRoutes: UplinkRoutes): void {
  const [, uplink = '', subnetText = ''] = /^([^:]*):(.*)$/.exec(text) ?? [];
  if (!text.includes(':')) throw invalid(`Subnet "${text}" invalid, must be in the format of "<uplink network>:<subnet>"`);
  const subnet = parseCidr(subnetText);
  if (subnet === null) throw invalid(`invalid CIDR address: ${subnetText}`);
  if (subnet.address !== subnet.network) throw invalid(`Not an IP network address "${subnetText}"`);
  const routes = uplinkRoutes(uplink);
  if (routes === undefined) throw invalid(`Invalid uplink network "${uplink}": Network not found`);
  const address = formatIp({ family: subnet.family, value: subnet.address });
  const within = routes.map((route) => parseCidr(route)).some((route) => route !== null && route.prefix <= subnet.prefix && subnetContains(route, address));
  if (!within) throw invalid(`Uplink network "${uplink}" doesn't contain "${address}/${subnet.prefix}" in its routes`);
}

/** Subnets a network of the default project may hand on; undefined where there is no such network. */
export type UplinkRoutes = (network: string) => readonly string[] | undefined;

/**
 * Checks a project's configuration in LXD's words. What nobody enforces is refused, because a limit that does not hold is worse than none.
 * @throws `invalid`.
 */
export function validateProjectConfig(config: Readonly<Record<string, string>>, uplinkRoutes: UplinkRoutes = () => undefined): void {
  for (const [name, value] of Object.entries(config)) {
    const spec = name === 'user.' ? projectKeys.prefixes['user.'] : projectKeys.find(name);
    if (spec === undefined) throw invalid(`Invalid project configuration key "${name}"`);
    if (value === '') continue;
    try {
      spec.check?.(value, name);
      if (name === 'restricted.networks.subnets') for (const subnet of value.split(',')) checkUplinkSubnet(subnet.trim(), uplinkRoutes);
    } catch (error) {
      throw invalid(`Invalid project configuration key "${name}" value: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    if (notEnforced.has(name)) throw invalid(`Project configuration key "${name}" cannot be set: this server does not enforce it`);
  }
  // Others could change what its instances may do.
  if (isTrue(config['restricted']) && isFalse(config['features.profiles'])) throw invalid('Projects without their own profiles cannot be restricted');
}
