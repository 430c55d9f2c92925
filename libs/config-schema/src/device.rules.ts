import { AppError, invalid, isTrue, notFound, wrap } from '#kernel';
import { isVlanList, parseCidr, parseIp, subnetContains, isIpAddress, isListOf } from './checks/address.checks.js';
import { parseProxyAddress } from './checks/proxy-address.checks.js';
import type { Config, Devices, InstanceKind } from './instance-config.rules.js';
import { deviceKeys } from './keys/instance-devices.keys.js';

/** A managed network as NIC validation sees it; `config` holds resolved values. */
export interface DeviceNetwork {
  readonly name: string;
  /** `bridge`, `macvlan`, `sriov`, `ovn`, `physical`. */
  readonly type: string;
  readonly config: Config;
}

export interface DeviceScope {
  readonly instanceType: InstanceKind;
  /** Devices with profiles applied: names of NICs must differ, and there must be exactly one root disk. */
  readonly expanded: boolean;
  /** Project whose networks count, for the wording. */
  readonly project: string;
  /** Managed network of that project by name. */
  readonly network: (name: string) => DeviceNetwork | undefined;
}

const nicTypeOfNetwork: Readonly<Record<string, string>> = { bridge: 'bridged', macvlan: 'macvlan', sriov: 'sriov', ovn: 'ovn' };
const containerOnly = new Set(['unix-char', 'unix-block', 'unix-hotplug', 'gpu-mig', 'nic-ipvlan']);
const vmOnly = new Set(['gpu-mdev', 'gpu-sriov', 'pci']);

/**
 * Checks all devices of a profile (`expanded: false`), of an instance's own (`false`) or with profiles applied (`true`). LXD's words, without
 * the `Invalid devices: ` or `Invalid expanded devices: ` an instance's caller puts in front. Sources on the host, volumes and pools are
 * looked at by who adds the device. @throws `invalid`, or `not-found` for a missing network.
 */
export function validateDevices(devices: Devices, scope: DeviceScope): void {
  if (Object.keys(devices).some((name) => name.length > 64)) throw invalid('The maximum device name length is 64 characters');
  if (scope.expanded) {
    try {
      findRootDisk(devices);
    } catch (error) {
      throw wrap(error, 'Failed detecting root disk device');
    }
  }
  for (const [name, config] of Object.entries(devices)) validateDevice(name, config, scope, devices);
}

/** Checks one device, among the others of its owner. */
export function validateDevice(name: string, config: Config, scope: DeviceScope, all: Devices = { [name]: config }): void {
  try {
    const type = loadType(name, config, scope);
    validateName(name);
    if ((scope.instanceType === 'container' && vmOnly.has(type)) || (scope.instanceType === 'virtual-machine' && containerOnly.has(type))) {
      throw invalid('Unsupported device type');
    }
    before[type]?.(config, scope);
    try {
      validateOptions(type, config, scope);
    } catch (error) {
      throw type === 'pci' || type === 'tpm' ? wrap(error, 'Failed to validate config') : error;
    }
    if (scope.expanded && config['type'] === 'nic') refuseDuplicateNic(name, config, all);
    after[type]?.(config, scope, all);
  } catch (error) {
    throw wrap(error, `Device validation failed for "${name}"`);
  }
}

/** The one disk at `/` that has a pool. @throws `not-found` when there is none, `invalid` when there are several. */
export function findRootDisk(devices: Devices): { name: string; config: Config } {
  const roots = Object.entries(devices).filter(([, config]) => isRootDisk(config));
  if (roots.length > 1) throw invalid('More than one root device found');
  if (roots.length === 0) throw notFound('No root device could be found');
  return { name: roots[0]![0], config: roots[0]![1] };
}

export function isRootDisk(config: Config): boolean {
  return config['type'] === 'disk' && config['path'] === '/' && (config['source'] ?? '') === '' && (config['pool'] ?? '') !== '';
}

/** The type of NIC a device is: its `nictype`, or what its managed network asks for. Empty when neither says. */
export function nicTypeOf(config: Config, network: DeviceNetwork | undefined): string {
  return (config['network'] ?? '') === '' ? (config['nictype'] ?? '') : (nicTypeOfNetwork[network?.type ?? ''] ?? '');
}

function loadType(name: string, config: Config, scope: DeviceScope): string {
  const fail = (message: string): AppError => invalid(`Failed loading device "${name}": ${message}`);
  const type = config['type'] ?? '';
  if (type === '') throw fail('Missing device type in config');
  let full = type;
  if (type === 'nic') {
    const networkName = config['network'] ?? '';
    const network = networkName === '' ? undefined : scope.network(networkName);
    if (networkName !== '' && network === undefined) {
      throw notFound(`Failed loading device "${name}": Failed to load network "${networkName}" for project "${scope.project}": Network not found`);
    }
    if (network !== undefined && !Object.hasOwn(nicTypeOfNetwork, network.type)) throw fail(`Unrecognised NIC network type for network "${networkName}"`);
    full = `nic-${nicTypeOf(config, network)}`;
  } else if (type === 'infiniband') {
    full = `infiniband-${config['nictype'] ?? ''}`;
  } else if (type === 'gpu') {
    full = deviceKeys.has(`gpu-${config['gputype']}`) ? `gpu-${config['gputype']}` : 'gpu-physical';
  }
  if (!deviceKeys.has(full)) throw fail('Unsupported device type');
  return full;
}

function validateName(name: string): void {
  if (name.length < 1 || name.length > 63) throw invalid('Name must be 1-63 characters long');
  if (name.startsWith('.')) throw invalid('Name must not start with "." character');
  if (!/^[A-Za-z0-9/\-:_.]+$/.test(name)) {
    throw invalid('Name can only contain alphanumeric, forward slash, hyphen, colon, underscore and full stop characters');
  }
}

function validateOptions(type: string, config: Config, scope: DeviceScope): void {
  const { keys } = deviceKeys.get(type)!;
  const managed = (config['network'] ?? '') !== '';
  for (const [option, spec] of Object.entries(keys)) {
    const value = config[option] ?? '';
    const required = (spec.required === true && !(option === 'parent' && managed)) || (type === 'tpm' && scope.instanceType === 'container');
    if (value === '' && !required) continue;
    try {
      if (value === '' && type === 'tpm') throw invalid('Required value');
      spec.check?.(value, option);
    } catch (error) {
      throw wrap(error, `Invalid value for device option "${option}"`);
    }
  }
  for (const option of Object.keys(config)) {
    const common = option === 'type' || option.startsWith('user.') || (option === 'nictype' && config['type'] === 'nic') || (option === 'gputype' && config['type'] === 'gpu');
    if (!common && !Object.hasOwn(keys, option)) throw invalid(`Invalid device option "${option}"`);
  }
}

function refuseDuplicateNic(name: string, config: Config, all: Devices): void {
  const inside = config['name'] ?? '';
  if (inside === '') return;
  const twin = Object.entries(all).some(([other, device]) => other !== name && device['type'] === 'nic' && device['name'] === inside);
  if (twin) throw invalid(`Invalid value for device option "name": Duplicate NIC name detected "${inside}"`);
}

type Rule = (config: Config, scope: DeviceScope, all: Devices) => void;

/** Rules LXD looks at before the options one by one. */
const before: Readonly<Record<string, (config: Config, scope: DeviceScope) => void>> = {
  'nic-bridged': (config, scope) => {
    refuseManagedOptions(config, ['nictype', 'parent', 'mtu', 'maas.subnet.ipv4', 'maas.subnet.ipv6']);
    const network = scope.network((config['network'] ?? '') === '' ? (config['parent'] ?? '') : config['network']!);
    if (network?.type === 'bridge') checkStaticAddresses(config, network);
    if (network === undefined) checkUnmanagedAddresses(config);
    for (const family of [4, 6]) {
      if (config[`ipv${family}.address`] === 'none' && !isTrue(config[`security.ipv${family}_filtering`])) {
        throw invalid(`Cannot have ipv${family}.address as none unless using security.ipv${family}_filtering`);
      }
    }
  },
  'nic-macvlan': (config) => refuseManagedOptions(config, ['nictype', 'parent', 'mtu', 'vlan', 'maas.subnet.ipv4', 'maas.subnet.ipv6', 'gvrp']),
  'nic-sriov': (config) => refuseManagedOptions(config, ['nictype', 'parent', 'mtu', 'vlan', 'maas.subnet.ipv4', 'maas.subnet.ipv6']),
  'nic-ovn': (config) => {
    if ((config['network'] ?? '') === '') throw notFound('Error loading network config for "": Network not found');
    refuseManagedOptions(config, ['nictype']);
  },
};

function refuseManagedOptions(config: Config, options: string[]): void {
  if ((config['network'] ?? '') === '') return;
  const taken = options.find((option) => (config[option] ?? '') !== '');
  if (taken !== undefined) throw invalid(`Cannot use "${taken}" property in conjunction with "network" property`);
}

/** Nobody hands addresses out on a bridge that is not ours: one is of use to filters alone, and filters to nobody without one. */
function checkUnmanagedAddresses(config: Config): void {
  const filtered = (family: number): boolean => isTrue(config[`security.ipv${family}_filtering`]);
  const given = (family: number): boolean => (config[`ipv${family}.address`] ?? '') !== '';
  for (const family of [4, 6]) {
    if (given(family) && !filtered(family)) throw invalid(`Cannot use manually specified ipv${family}.address when using unmanaged parent bridge`);
    if (filtered(family) && !given(family)) throw invalid(`IPv${family} filtering requires a manually specified ipv${family}.address when using an unmanaged parent bridge`);
  }
}

function checkStaticAddresses(config: Config, network: DeviceNetwork): void {
  for (const family of [4, 6] as const) {
    const address = config[`ipv${family}.address`] ?? '';
    if (address === '') continue;
    const subnet = parseCidr(network.config[`ipv${family}.address`] ?? '');
    const dhcp = subnet !== null && network.config[`ipv${family}.dhcp`] !== 'false' && (family === 4 || isTrue(network.config['ipv6.dhcp.stateful']));
    if (!dhcp && !isTrue(config[`security.ipv${family}_filtering`])) {
      const what = family === 4 ? 'DHCP is disabled' : 'DHCP or "ipv6.dhcp.stateful" are disabled';
      throw invalid(`Cannot specify "ipv${family}.address" when ${what} (unless using security.ipv${family}_filtering) on network "${network.name}"`);
    }
    if (address === 'none' || subnet === null) continue;
    if (!subnetContains(subnet, address)) throw invalid(`Device IP address "${address}" not within network "${network.name}" subnet`);
    if (parseIp(address, family)?.value === subnet.address) {
      throw invalid(`IP address "${address}" is assigned to parent managed network device "${config['parent'] ?? ''}"`);
    }
  }
}

/** Rules among the options of one device, and among devices. */
const after: Readonly<Record<string, Rule>> = {
  'nic-bridged': (config, scope) => {
    const [untagged, tagged] = [config['vlan'] ?? '', config['vlan.tagged'] ?? ''];
    const managed = scope.network(config['network'] || (config['parent'] ?? '')) !== undefined;
    if (untagged === '0' && managed) throw invalid('VLAN ID 0 is not allowed for native Linux bridges');
    if (tagged === '') return;
    // LXD looks twice at what a bridge of its own is to carry, and the first time names no option.
    if (managed) {
      isVlanList(tagged);
      if (tagged.split(',').some((item) => /^0+(-|$)/.test(item.trim()))) throw invalid('VLAN tagged ID 0 is not allowed for native Linux bridges');
    }
    within('vlan.tagged', () => {
      if (tagged.split(',').some((item) => item.trim() === untagged)) throw invalid(`Tagged VLAN ID "${untagged}" cannot be the same as untagged VLAN ID`);
      isVlanList(tagged);
    });
  },
  'nic-ipvlan': (config) => checkIpvlan(config),
  'nic-routed': (config) => {
    for (const family of [4, 6]) {
      if ((config[`ipv${family}.routes`] ?? '') !== '' && (config[`ipv${family}.address`] ?? '') === '') {
        throw invalid(`ipv${family}.routes requires ipv${family}.address to be set`);
      }
      const addresses = (config[`ipv${family}.address`] ?? '').split(',').map((text) => text.trim()).filter((text) => text !== '');
      const twice = addresses.find((address, index) => addresses.indexOf(address) !== index);
      if (twice !== undefined) throw invalid(`Duplicate address "${twice}" in "ipv${family}.address"`);
    }
  },
  disk: (config, _scope, all) => checkDisk(config, all),
  'unix-char': (config) => requireUnixPath(config),
  'unix-block': (config) => requireUnixPath(config),
  'unix-hotplug': (config) => {
    if ((config['vendorid'] ?? '') === '' && (config['productid'] ?? '') === '') throw invalid('Unix hotplug devices require a vendorid or a productid');
  },
  'gpu-physical': (config) => checkGpu(config),
  'gpu-mdev': (config) => checkGpu(config),
  'gpu-sriov': (config) => checkGpu(config),
  'gpu-mig': (config) => {
    checkGpu(config);
    const [gi, ci, uuid] = ['mig.gi', 'mig.ci', 'mig.uuid'].map((option) => config[option] ?? '');
    if (uuid !== '') {
      for (const option of ['mig.gi', 'mig.ci']) if ((config[option] ?? '') !== '') throw invalid(`Cannot use "${option}" when "mig.uuid" is set`);
    } else if (gi === '' || ci === '') {
      throw invalid('Either "mig.uuid" or both "mig.gi" and "mig.ci" must be set');
    }
  },
  proxy: (config, scope) => checkProxy(config, scope),
};

function within(option: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw wrap(error, `Invalid value for device option "${option}"`);
  }
}

function checkIpvlan(config: Config): void {
  const inL2 = config['mode'] === 'l2';
  for (const family of [4, 6] as const) {
    const check = (option: string, rule: (value: string) => void): void => {
      const value = config[option] ?? '';
      if (value !== '') within(option, () => rule(value));
    };
    const address = isIpAddress(family);
    // In layer 2 mode an address may carry its prefix and the gateway is an address; in layer 3 the host answers for everything.
    check(`ipv${family}.address`, isListOf((item) => (inL2 && parseCidr(item)?.family === family ? undefined : address(item))));
    check(`ipv${family}.gateway`, inL2 ? address : (value) => {
      if (value !== 'auto' && value !== 'none') throw invalid(`Invalid gateway: ${value}`);
    });
  }
}

function checkDisk(config: Config, all: Devices): void {
  const has = (option: string): boolean => (config[option] ?? '') !== '';
  const source = config['source'] ?? '';
  const root = config['path'] === '/';
  const remote = source.startsWith('ceph:') || source.startsWith('cephfs:');
  if (root && source !== '') throw invalid('Root disk entry may not have a "source" property set');
  if (root && !has('pool')) throw invalid('Root disk entry must have a "pool" property set');
  if (!root && source === '') throw invalid('Disk entry is missing the required "source" or "path" property');
  if ((has('ceph.cluster_name') || has('ceph.user_name')) && !remote) throw invalid(`Invalid options ceph.cluster_name/ceph.user_name for source "${source}"`);
  if (!root && has('size')) throw invalid('Only the root disk may have a size quota');
  if (!root && has('size.state')) throw invalid('Only the root disk may have a migration size quota');
  if (isTrue(config['recursive']) && (root || has('pool') || !source.startsWith('/'))) throw invalid('The recursive option is only supported for additional bind-mounted paths');
  if (isTrue(config['recursive']) && isTrue(config['readonly'])) throw invalid("Recursive read-only bind-mounts aren't currently supported by the kernel");
  if (has('path') && Object.values(all).filter((other) => other['type'] === 'disk' && other['path'] === config['path']).length > 1) {
    throw invalid(`More than one disk device uses the same path "${config['path']}"`);
  }
  if (has('pool')) {
    if (source.startsWith('/')) throw invalid('Storage volumes cannot be specified as absolute paths');
    if (has('shift')) throw invalid('The "shift" property cannot be used with custom storage volumes (set "security.shifted=true" on the volume instead)');
  } else if (!source.startsWith('/') && !remote && !source.startsWith('cloud-init:')) {
    throw invalid('Source path must be absolute for local sources');
  }
}

function requireUnixPath(config: Config): void {
  if ((config['source'] ?? '') === '' && (config['path'] ?? '') === '') throw invalid('Unix device entry is missing the required "source" or "path" property');
}

function checkGpu(config: Config): void {
  for (const selector of ['pci', 'id']) {
    if ((config[selector] ?? '') === '') continue;
    const other = ['id', 'productid', 'vendorid'].find((option) => option !== selector && (config[option] ?? '') !== '');
    // The doubled word is LXD's.
    if (other !== undefined) throw invalid(`Cannot use "${other}" when when "${selector}" is set`);
  }
}

function checkProxy(config: Config, scope: DeviceScope): void {
  const listen = parseProxyAddress(config['listen'] ?? '');
  const connect = parseProxyAddress(config['connect'] ?? '');
  const nat = isTrue(config['nat']);
  if (listen.ports.length !== connect.ports.length && connect.ports.length > 1) throw invalid('Mismatch between listen port(s) and connect port(s) count');
  if (isTrue(config['proxy_protocol']) && (connect.protocol !== 'tcp' || nat)) throw invalid('The PROXY header can only be sent to tcp servers in non-nat mode');
  if ((listen.protocol !== 'unix' || listen.abstract) && ['uid', 'gid', 'mode'].some((option) => (config[option] ?? '') !== '')) {
    throw invalid('Only proxy devices for non-abstract unix sockets can carry uid, gid, or mode properties');
  }
  if (!nat) {
    if (scope.instanceType === 'virtual-machine') throw invalid('Only NAT mode is supported for proxies on VM instances');
    return;
  }
  if (!['', 'host'].includes(config['bind'] ?? '')) throw invalid('Only host-bound proxies can use NAT');
  if (listen.protocol !== connect.protocol) throw invalid(`Proxying ${listen.protocol} <-> ${connect.protocol} is not supported when using NAT`);
  if (listen.address === '0.0.0.0' || listen.address === '::' || listen.address === '') throw invalid(`Cannot listen on wildcard address "${listen.address}" when in nat mode`);
  const wildcard = connect.address === '0.0.0.0' || connect.address === '::' || connect.address === '';
  if (!wildcard && listen.family !== connect.family) throw invalid('Cannot mix IP versions between listen and connect in nat mode');
}
