import { nvidiaHook } from '#host';
import { invalid, isFalse, isTrue } from '#kernel';
import type { InstanceSpec } from '#ports';
import type { CgroupSetting } from './cgroup-limits.rules.js';
import { commonDeviceRules } from './devices/device-nodes.js';
import type { DeviceFile, DeviceParts } from './devices/device-handler.js';
import type { DiskPlan } from './disk-devices.js';
import type { NicPlan } from './nic-devices.rules.js';
import { addressList, routedGateway } from './nics/nic-host.rules.js';

export interface LxcConfigInput {
  readonly spec: InstanceSpec;
  readonly rootfs: string;
  /** Whether the tree on disk has the container's own ids and is mounted with a map. */
  readonly rootfsIdmapped: boolean;
  readonly log: string;
  readonly consoleLog: string;
  readonly seccomp: string;
  /** Where calls that the policy names go; empty where it names none. */
  readonly syscallSocket: string;
  readonly payloadCgroup: string;
  readonly monitorCgroup: string;
  readonly pivotCgroup: string;
  /** Command line of the post-stop hook. */
  readonly postStop: string;
  readonly nics: readonly NicPlan[];
  readonly disks: readonly DiskPlan[];
  /** Of devices of other types. */
  readonly devices: DeviceParts;
  readonly limits: readonly CgroupSetting[];
  /** CPUs it is pinned to; null for all. */
  readonly cpus: readonly number[] | null;
  readonly cpusetUnified: boolean;
  readonly appArmor: boolean;
  /** Files below /proc and /sys that lxcfs offers, relative to /; empty where it is not mounted. */
  readonly lxcfs: readonly string[];
  readonly lxcfsRoot: string;
  /** What containers see as /dev/lxd, unless `security.devlxd` says no. */
  readonly guestDirectory: string;
  /** Devices cgroup of v1 (`lxc.cgroup.devices`) or BPF on v2 (`lxc.cgroup2.devices`). */
  readonly devicesUnified: boolean;
  /** Descriptors a process inside may have, where `limits.kernel.nofile` does not say: never what the agent happens to run with. */
  readonly openFiles: number;
}

const kernelDirectories = [
  'proc/sys/fs/binfmt_misc', 'sys/fs/fuse/connections', 'sys/fs/pstore', 'sys/kernel/debug', 'sys/kernel/security', 'sys/kernel/tracing',
];
/** The whole configuration of a container. Containers see what those of LXD see; facts by comparing with LXD 5.0.2. */
export function lxcConfig(input: LxcConfigInput): string {
  const { spec } = input;
  const privileged = spec.idmap.length === 0;
  const lines = [
    ...bookkeeping(input), ...isolation(input, privileged), ...mounts(input, privileged), ...identity(spec), ...limits(input),
    ...input.nics.flatMap((nic, index) => nicLines(nic, index, spec.devices.find(({ name }) => name === nic.device)?.config ?? {})), ...input.disks.flatMap(diskLines), ...input.devices.files.map(fileLine),
  ];
  // A value with a line break would be a line of its own, past the policy on raw.lxc.
  const broken = lines.find((line) => line.includes('\n'));
  if (broken !== undefined) throw invalid(`A line break is not allowed in "${broken.split('\n')[0]}"`);
  return `${[...lines, ...rawLines(spec)].join('\n')}\n`;
}

function bookkeeping(input: LxcConfigInput): string[] {
  return [
    `lxc.log.file = ${input.log}`, 'lxc.log.level = warn',
    'lxc.console.buffer.size = auto', 'lxc.console.size = auto', `lxc.console.logfile = ${input.consoleLog}`,
    `lxc.cgroup.dir.container = ${input.payloadCgroup}`, `lxc.cgroup.dir.monitor = ${input.monitorCgroup}`,
    `lxc.cgroup.dir.monitor.pivot = ${input.pivotCgroup}`,
    'lxc.hook.version = 1', `lxc.hook.post-stop = ${input.postStop}`,
  ];
}

function isolation(input: LxcConfigInput, privileged: boolean): string[] {
  const nesting = isTrue(input.spec.config['security.nesting']);
  const lines = [`lxc.seccomp.profile = ${input.seccomp}`];
  if (input.syscallSocket !== '') lines.push(`lxc.seccomp.notify.proxy = unix:${input.syscallSocket}`, `lxc.seccomp.notify.cookie = ${input.spec.projectName}`);
  if (input.appArmor) {
    lines.push('lxc.apparmor.profile = generated', `lxc.apparmor.allow_nesting = ${nesting ? 1 : 0}`);
    for (const rule of (input.spec.config['raw.apparmor'] ?? '').split('\n')) if (rule.trim() !== '') lines.push(`lxc.apparmor.raw = ${rule}`);
  }
  for (const entry of input.spec.idmap) {
    if (entry.isUid) lines.push(`lxc.idmap = u ${entry.nsId} ${entry.hostId} ${entry.range}`);
    if (entry.isGid) lines.push(`lxc.idmap = g ${entry.nsId} ${entry.hostId} ${entry.range}`);
  }
  if (!privileged) return lines;
  const devices = input.devicesUnified ? 'lxc.cgroup2.devices' : 'lxc.cgroup.devices';
  return [
    ...lines, 'lxc.cap.drop = sys_time sys_module sys_rawio mac_admin mac_override',
    `${devices}.deny = a`, ...[...commonDeviceRules, ...input.devices.rules].map((device) => `${devices}.allow = ${device}`),
  ];
}

function mounts(input: LxcConfigInput, privileged: boolean): string[] {
  const lines = [
    `lxc.rootfs.path = dir:${input.rootfs}`, ...(input.rootfsIdmapped ? ['lxc.rootfs.options = idmap=container'] : []),
    `lxc.mount.auto = ${privileged ? 'proc:mixed sys:mixed cgroup:mixed' : 'proc:rw sys:rw cgroup:mixed'}`,
    'lxc.autodev = 1', 'lxc.pty.max = 1024', 'lxc.tty.max = 0',
  ];
  if (privileged) lines.push('lxc.mount.entry = mqueue dev/mqueue mqueue rw,relatime,create=dir,optional 0 0');
  for (const device of ['dev/fuse', 'dev/net/tun']) lines.push(`lxc.mount.entry = /${device} ${device} none bind,create=file,optional 0 0`);
  for (const path of kernelDirectories) lines.push(`lxc.mount.entry = /${path} ${path} none rbind,create=dir,optional 0 0`);
  // Without these two, a container may not mount its own proc and sysfs for containers inside it.
  if (isTrue(input.spec.config['security.nesting'])) {
    lines.push('lxc.mount.entry = proc dev/.lxc/proc proc create=dir,optional 0 0', 'lxc.mount.entry = sys dev/.lxc/sys sysfs create=dir,optional 0 0');
  }
  // Read-only concerns the directory, not who may talk: a privileged container must not put its own socket before the others.
  if (!isFalse(input.spec.config['security.devlxd'])) lines.push(`lxc.mount.entry = ${escapeMountPath(input.guestDirectory)} dev/lxd none bind,ro,create=dir 0 0`);
  if (isTrue(input.spec.config['nvidia.runtime'])) lines.push(...nvidiaRuntime(input.spec.config, input.devices.nvidia ?? []));
  for (const path of input.lxcfs) lines.push(`lxc.mount.entry = ${input.lxcfsRoot}/${path} ${path} none bind,optional 0 0`);
  return lines;
}

/** LXC's own hook brings libraries and tools of the host's driver in; it reads its wishes from the environment. Devices come as such. */
function nvidiaRuntime(config: Readonly<Record<string, string>>, slices: readonly string[]): string[] {
  const wishes = [
    ['NVIDIA_VISIBLE_DEVICES', slices.join(',') || 'none'], ['NVIDIA_DRIVER_CAPABILITIES', config['nvidia.driver.capabilities'] || 'compute,utility'],
    ['NVIDIA_REQUIRE_CUDA', config['nvidia.require.cuda'] ?? ''], ['NVIDIA_REQUIRE_DRIVER', config['nvidia.require.driver'] ?? ''],
  ] as const;
  return [...wishes.filter(([, value]) => value !== '').map(([name, value]) => `lxc.environment = ${name}=${value}`), `lxc.hook.mount = ${nvidiaHook}`];
}

function identity({ name, architecture, config }: InstanceSpec): string[] {
  const lines = [`lxc.uts.name = ${name}`, `lxc.arch = ${['i686', 'armv7l', 'ppc', 'armv6l'].includes(architecture) ? 'linux32' : 'linux64'}`];
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith('environment.')) lines.push(`lxc.environment = ${key.slice('environment.'.length)}=${value}`);
    else if (key.startsWith('linux.sysctl.')) lines.push(`lxc.sysctl.${key.slice('linux.sysctl.'.length)} = ${value}`);
  }
  return lines;
}

function limits({ spec, limits: settings, cpus, cpusetUnified, openFiles }: LxcConfigInput): string[] {
  const lines = settings.filter(({ unset }) => !unset).map(({ file, value, unified }) => `lxc.cgroup${unified ? '2' : ''}.${file} = ${value}`);
  if (cpus !== null) lines.push(`lxc.cgroup${cpusetUnified ? '2' : ''}.cpuset.cpus = ${cpus.join(',')}`);
  const kernel = Object.entries(spec.config).filter(([key]) => key.startsWith('limits.kernel.'));
  if (!kernel.some(([key]) => key === 'limits.kernel.nofile')) lines.push(`lxc.prlimit.nofile = ${openFiles}`);
  return [...lines, ...kernel.map(([key, value]) => `lxc.prlimit.${key.slice('limits.kernel.'.length)} = ${value}`)];
}

/** Addresses and gateways of a NIC that no DHCP serves. */
function routedLines(config: Readonly<Record<string, string>>): [string, string][] {
  return ([4, 6] as const).flatMap((family): [string, string][] => {
    const gateway = routedGateway(config, family);
    return [...(gateway === '' ? [] : [[`ipv${family}.gateway`, gateway] as [string, string]]), ...addressLines(config, family)];
  });
}

function addressLines(config: Readonly<Record<string, string>>, family: 4 | 6, prefix: number = family === 4 ? 32 : 128): [string, string][] {
  return addressList(config, `ipv${family}.address`).map((address) => [`ipv${family}.address`, address.includes('/') ? address : `${address}/${prefix}`]);
}

/** In layer 3 the host answers for addresses and the device itself is the way out; in layer 2 an address stands in a network with its gateway. */
function ipvlanLines(config: Readonly<Record<string, string>>): [string, string][] {
  const mode = config['mode'] || 'l3s';
  const routed = mode === 'l3s';
  return [['ipvlan.mode', mode], ['ipvlan.isolation', 'bridge'], ...(routed ? [['l2proxy', '1'] as [string, string]] : []), ...([4, 6] as const).flatMap((family): [string, string][] => {
    const addresses = addressLines(config, family, routed ? undefined : family === 4 ? 24 : 64);
    const gateway = config[`ipv${family}.gateway`] || (routed ? 'auto' : '');
    if (addresses.length === 0 || gateway === '' || gateway === 'none') return addresses;
    return [...addresses, [`ipv${family}.gateway`, gateway === 'auto' ? 'dev' : gateway]];
  })];
}

function nicLines(nic: NicPlan, index: number, config: Readonly<Record<string, string>>): string[] {
  const key = (name: string, value: string): string => `lxc.net.${index}.${name} = ${value}`;
  const lines = [key('type', nic.kind), key('name', nic.name), key('flags', 'up')];
  if (nic.mac !== '') lines.push(key('hwaddr', nic.mac));
  if (nic.mtu !== 0 && !nic.infiniband) lines.push(key('mtu', `${nic.mtu}`));
  if (nic.parent !== '' && nic.nictype !== 'routed') lines.push(key('link', nic.parent));
  if (nic.kind === 'veth') lines.push(key('veth.pair', nic.hostName));
  if (nic.kind === 'macvlan') lines.push(key('macvlan.mode', 'bridge'));
  if (nic.nictype === 'routed') lines.push(...routedLines(config).map(([name, value]) => key(name, value)));
  if (nic.kind === 'ipvlan') lines.push(...ipvlanLines(config).map(([name, value]) => key(name, value)));
  return lines;
}

function diskLines(disk: DiskPlan): string[] {
  const options = [
    ...(disk.readonly ? ['ro'] : []), disk.recursive ? 'rbind' : 'bind', ...(disk.propagation === '' ? [] : [disk.propagation]),
    `create=${disk.isDirectory ? 'dir' : 'file'}`, ...(disk.shifted ? ['idmap=container'] : []),
  ];
  return [`lxc.mount.entry = ${escapeMountPath(disk.mountedAt)} ${escapeMountPath(disk.target.replace(/^\/+/, ''))} none ${options.join(',')} 0 0`];
}

function fileLine({ source, target }: DeviceFile): string {
  return `lxc.mount.entry = ${escapeMountPath(source)} ${escapeMountPath(target.replace(/^\/+/, ''))} none bind,create=file 0 0`;
}

/** As fstab(5) has it. */
export function escapeMountPath(path: string): string {
  return path.replace(/[\\ \t\n]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function rawLines({ config }: InstanceSpec): string[] {
  return (config['raw.lxc'] ?? '').split('\n').filter((line) => line.trim() !== '');
}
