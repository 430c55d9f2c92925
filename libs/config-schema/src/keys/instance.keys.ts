import { isBool, isInteger, isOneOf, key, KeyGroup, type KeySpec } from '../key.js';
import { isExpiry, isSnapshotSchedule } from '../checks/schedule.checks.js';
import {
  isCloudInitUserData, isCpuAllowance, isCpuLimit, isMemoryLimit, isPriority, isRawLxc, isSize, isUint32, isUuid, isYaml,
} from '../checks/value.checks.js';

const container = 'container';
const vm = 'virtual machine';

/** Keys that both kinds of instance take. */
const anyKeys: Record<string, KeySpec> = {
  'boot.autostart': key.bool({ short: 'Start the instance when the daemon starts; unset restores the last state' }),
  'boot.autostart.delay': key.integer({ default: '0', short: 'Seconds to wait after this start before the next instance' }),
  'boot.autostart.priority': key.integer({ default: '0', short: 'Start order, the highest first' }),
  'boot.host_shutdown_timeout': key.integer({ default: '30', liveUpdate: true, short: 'Seconds a clean stop may take before it is forced' }),
  'boot.stop.priority': key.integer({ default: '0', short: 'Stop order, the highest first' }),
  'cloud-init.network-config': key.string({ check: isYaml, condition: 'if supported by image', default: 'DHCP on eth0', short: 'Network configuration for cloud-init' }),
  'cloud-init.user-data': key.string({ check: isCloudInitUserData, condition: 'if supported by image', default: '#cloud-config', short: 'User data for cloud-init' }),
  'cloud-init.vendor-data': key.string({ condition: 'if supported by image', default: '#cloud-config', short: 'Vendor data for cloud-init' }),
  'cluster.evacuate': key.string({ check: isOneOf('auto', 'migrate', 'live-migrate', 'stop'), default: 'auto', short: 'What an evacuation of its member does with it' }),
  'limits.cpu': key.string({ check: isCpuLimit, default: '1 (VMs)', liveUpdate: true, short: 'Number of CPUs, or the set to run on' }),
  'limits.disk.priority': key.integer({ check: isPriority, default: '5', liveUpdate: true, short: 'Share of block I/O under load, 0 to 10' }),
  'limits.memory': key.string({ check: isMemoryLimit, default: '1GiB (VMs)', liveUpdate: true, short: 'Bytes, or a percentage of the memory of the host' }),
  'limits.network.priority': key.integer({ check: isPriority, default: '0', liveUpdate: true, short: 'Priority of its network traffic under load, 0 to 10' }),
  'raw.apparmor': key.blob({ liveUpdate: true, short: 'Lines appended to the generated AppArmor profile' }),
  'security.devlxd': key.bool({ default: 'true', short: 'Whether /dev/lxd exists inside' }),
  'security.protection.delete': key.bool({ default: 'false', liveUpdate: true, short: 'Refuse to delete the instance' }),
  'snapshots.expiry': key.string({ check: isExpiry, short: 'Age at which snapshots are deleted, for instance 1M 2d' }),
  'snapshots.pattern': key.string({ default: 'snap%d', short: 'Template of the names of snapshots' }),
  'snapshots.schedule': key.string({ check: isSnapshotSchedule, short: 'Cron expression or aliases such as @daily for automatic snapshots' }),
  'snapshots.schedule.stopped': key.bool({ default: 'false', short: 'Take scheduled snapshots of a stopped instance too' }),
  'volatile.apply_template': key.string({ short: 'Template trigger to run at the next start' }),
  'volatile.base_image': key.string({ short: 'Fingerprint of the image it was made from' }),
  'volatile.cloud-init.instance-id': key.string({ check: isUuid, short: 'Instance id shown to cloud-init' }),
  'volatile.evacuate.origin': key.string({ short: 'Member an evacuated instance returns to' }),
  'volatile.idmap.base': key.string({ short: 'First host id of its range' }),
  'volatile.last_state.idmap': key.string({ short: 'Map its files are shifted to' }),
  'volatile.last_state.power': key.string({ short: 'Power state when the host went down' }),
  'volatile.uuid': key.string({ check: isUuid, short: 'Id of the instance, unique everywhere' }),
  'volatile.vsock_id': key.string({ check: isInteger, short: 'vsock id of the last start' }),
};

const containerKeys: Record<string, KeySpec> = {
  'limits.cpu.allowance': key.string({ check: isCpuAllowance, default: '100%', liveUpdate: true, short: 'Share (50%) or hard limit (25ms/100ms) of CPU time' }),
  'limits.cpu.priority': key.integer({ check: isPriority, default: '10', liveUpdate: true, short: 'Priority among instances sharing CPUs, 0 to 10' }),
  'limits.hugepages.64KB': key.string({ check: isSize, liveUpdate: true, short: 'Bytes of 64 KB huge pages' }),
  'limits.hugepages.1MB': key.string({ check: isSize, liveUpdate: true, short: 'Bytes of 1 MB huge pages' }),
  'limits.hugepages.2MB': key.string({ check: isSize, liveUpdate: true, short: 'Bytes of 2 MB huge pages' }),
  'limits.hugepages.1GB': key.string({ check: isSize, liveUpdate: true, short: 'Bytes of 1 GB huge pages' }),
  'limits.memory.enforce': key.string({ check: isOneOf('soft', 'hard'), default: 'hard', liveUpdate: true, short: 'Whether the memory limit holds when the host has memory to spare' }),
  'limits.memory.swap': key.bool({ default: 'true', liveUpdate: true, short: 'Whether its pages may be swapped out' }),
  'limits.memory.swap.priority': key.integer({ check: isPriority, default: '10', liveUpdate: true, short: 'Protection from being swapped out, 0 to 10' }),
  'limits.processes': key.integer({ liveUpdate: true, short: 'Largest number of processes' }),
  'linux.kernel_modules': key.string({ liveUpdate: true, short: 'Modules to load before the start, separated by commas' }),
  'migration.incremental.memory': key.bool({ default: 'false', liveUpdate: true, short: 'Copy memory while running before a move' }),
  'migration.incremental.memory.goal': key.integer({ check: isUint32, default: '70', liveUpdate: true, short: 'Percentage of memory in step before the stop' }),
  'migration.incremental.memory.iterations': key.integer({ check: isUint32, default: '10', liveUpdate: true, short: 'Most rounds of copying before the stop' }),
  'nvidia.driver.capabilities': key.string({ default: 'compute,utility', short: 'Driver capabilities libnvidia-container is asked for' }),
  'nvidia.runtime': key.bool({ default: 'false', short: 'Give it the NVIDIA runtime of the host' }),
  'nvidia.require.cuda': key.string({ short: 'CUDA version asked for' }),
  'nvidia.require.driver': key.string({ short: 'Driver version asked for' }),
  'raw.idmap': key.blob({ condition: 'unprivileged container', short: 'Ids mapped through, for instance both 1000 1000' }),
  'raw.lxc': key.blob({ check: isRawLxc, short: 'liblxc configuration appended to the generated one' }),
  'raw.seccomp': key.blob({ short: 'Seccomp policy instead of the generated one' }),
  'security.devlxd.images': key.bool({ default: 'false', short: 'Offer image export over /dev/lxd' }),
  'security.idmap.base': key.integer({ check: isUint32, condition: 'unprivileged container', short: 'First host id to map to' }),
  'security.idmap.isolated': key.bool({ condition: 'unprivileged container', default: 'false', short: 'Use host ids no other isolated instance has' }),
  'security.idmap.size': key.integer({ check: isUint32, condition: 'unprivileged container', short: 'How many ids to map' }),
  'security.nesting': key.bool({ default: 'false', liveUpdate: true, short: 'Allow containers inside' }),
  'security.privileged': key.bool({ default: 'false', short: 'Run without a user namespace' }),
  'security.protection.shift': key.bool({ default: 'false', liveUpdate: true, short: 'Refuse to change the owners of its files' }),
  'security.syscalls.allow': key.string({ short: 'System calls to allow, one per line; all others are denied' }),
  'security.syscalls.deny': key.string({ short: 'System calls to deny, one per line' }),
  'security.syscalls.deny_compat': key.bool({ default: 'false', short: 'Deny 32-bit system calls on x86_64' }),
  'security.syscalls.deny_default': key.bool({ default: 'true', short: 'Deny the calls of the default list' }),
  // Former names, still taken.
  'security.syscalls.whitelist': key.string({ short: 'Former name of security.syscalls.allow' }),
  'security.syscalls.blacklist': key.string({ short: 'Former name of security.syscalls.deny' }),
  'security.syscalls.blacklist_compat': key.bool({ short: 'Former name of security.syscalls.deny_compat' }),
  'security.syscalls.blacklist_default': key.bool({ short: 'Former name of security.syscalls.deny_default' }),
  'security.syscalls.intercept.bpf': key.bool({ default: 'false', short: 'Handle the bpf system call' }),
  'security.syscalls.intercept.bpf.devices': key.bool({ default: 'false', short: 'Let device programs be loaded through it' }),
  'security.syscalls.intercept.mknod': key.bool({ default: 'false', short: 'Handle mknod for harmless devices' }),
  'security.syscalls.intercept.mount': key.bool({ default: 'false', short: 'Handle the mount system call' }),
  'security.syscalls.intercept.mount.allowed': key.string({ liveUpdate: true, short: 'File systems that may be mounted, separated by commas' }),
  'security.syscalls.intercept.mount.fuse': key.string({ liveUpdate: true, short: 'File systems to mount by FUSE instead, for instance ext4=fuse2fs' }),
  'security.syscalls.intercept.mount.shift': key.bool({ default: 'false', liveUpdate: true, short: 'Shift owners of what is mounted so' }),
  'security.syscalls.intercept.sched_setscheduler': key.bool({ default: 'false', short: 'Handle sched_setscheduler' }),
  'security.syscalls.intercept.setxattr': key.bool({ default: 'false', short: 'Handle setxattr for some attributes' }),
  'volatile.idmap.current': key.string({ short: 'Map in use' }),
  'volatile.idmap.next': key.string({ short: 'Map of the next start' }),
};

const vmKeys: Record<string, KeySpec> = {
  'agent.nic_config': key.bool({ default: 'false', short: 'Name interfaces inside like their devices' }),
  'limits.memory.hugepages': key.bool({ default: 'false', short: 'Back its memory by huge pages' }),
  'migration.stateful': key.bool({ default: 'false', short: 'Allow stateful stop and snapshots' }),
  'raw.qemu': key.blob({ short: 'Arguments appended to the command line of QEMU' }),
  'raw.qemu.conf': key.blob({ short: 'Changes to the generated qemu.conf' }),
  'security.agent.metrics': key.bool({ default: 'true', short: 'Ask the agent inside for state and metrics' }),
  'security.secureboot': key.bool({ default: 'true', short: 'UEFI secure boot' }),
  'volatile.apply_nvram': key.string({ check: isBool, short: 'Make the NVRAM anew at the next start' }),
};

const only = (condition: string, keys: Record<string, KeySpec>): Record<string, KeySpec> =>
  Object.fromEntries(Object.entries(keys).map(([name, spec]) => [name, { condition, ...spec }]));

/** All keys of instances and profiles in LXD 5.0.2. `condition` starts with `container`, `unprivileged container` or `virtual machine` where only those take it. */
export const instanceKeys = new KeyGroup(
  'instance',
  { ...anyKeys, ...only(container, containerKeys), ...only(vm, vmKeys) },
  {
    'environment.': key.string({ liveUpdate: true, short: 'Environment variables for init and for exec' }),
    'image.': key.string({ short: 'Properties of the image it was made from' }),
    'limits.kernel.': key.string({ condition: container, short: 'Kernel resource limits by name, for instance nofile' }),
    'linux.sysctl.': key.string({ condition: container, short: 'Kernel parameters inside' }),
    'user.': key.string({ short: 'Anything; can be searched' }),
  },
);

/** Endings of `volatile.<device>.<ending>`: what devices remember. */
export const volatileDeviceEndings: readonly string[] = [
  '.apply_quota', '.ceph_rbd', '.created', '.driver', '.host_name', '.hwaddr', '.id', '.last_state.vf.parent', '.mtu', '.name', '.spoofcheck', '.uuid', '.vlan',
];
