import { describe, expect, it } from 'vitest';
import type { InstanceSpec } from '#ports';
import { escapeMountPath, lxcConfig, type LxcConfigInput } from './lxc-config.rules.js';

const map = { hostId: 1_000_000, nsId: 0, range: 65_536 };
const spec: InstanceSpec = {
  id: 1, project: 'default', name: 'c1', projectName: 'c1', type: 'container', architecture: 'x86_64', ephemeral: false, config: {}, devices: [], nics: [],
  volumes: [], idmap: [{ isUid: true, isGid: false, ...map }, { isUid: false, isGid: true, ...map }], placementEpoch: 1,
  rootVolume: { pool: { name: 'p', driver: 'dir', config: {} }, kind: 'container', name: 'c1' },
};
const input: LxcConfigInput = {
  spec, rootfs: '/pool/c1/rootfs', rootfsIdmapped: true, log: '/logs/lxc.log', consoleLog: '/logs/console.log', seccomp: '/seccomp/c1', syscallSocket: '',
  payloadCgroup: 'roost-1/c1/payload', monitorCgroup: 'roost-1/c1/monitor', pivotCgroup: 'roost-1/c1/pivot', postStop: '/helper notify /fifo c1', nics: [], disks: [], devices: { files: [], rules: [] }, limits: [],
  cpus: null, cpusetUnified: false, appArmor: false, lxcfs: [], lxcfsRoot: '/var/lib/lxcfs', guestDirectory: '/state/devlxd', devicesUnified: false, openFiles: 1024,
};
const lines = (changes: Partial<LxcConfigInput>): string[] => lxcConfig({ ...input, ...changes }).trimEnd().split('\n');

describe('lxcConfig', () => {
  it('keeps the container in the cgroups of this member and tells of its end', () => {
    expect(lines({})).toEqual(expect.arrayContaining([
      'lxc.cgroup.dir.container = roost-1/c1/payload', 'lxc.cgroup.dir.monitor = roost-1/c1/monitor', 'lxc.hook.post-stop = /helper notify /fifo c1',
      'lxc.idmap = u 0 1000000 65536', 'lxc.idmap = g 0 1000000 65536', 'lxc.rootfs.options = idmap=container', 'lxc.prlimit.nofile = 1024',
    ]));
  });

  it('includes nothing from the host, whose hooks cost half a second', () => {
    expect(lxcConfig(input)).not.toContain('lxc.include');
  });

  it('takes capabilities and devices from a privileged container, which a user namespace does for others', () => {
    expect(lxcConfig(input)).not.toContain('lxc.cap.drop');
    const privileged = lines({ spec: { ...spec, idmap: [] }, rootfsIdmapped: false });

    expect(privileged).toEqual(expect.arrayContaining(['lxc.cap.drop = sys_time sys_module sys_rawio mac_admin mac_override', 'lxc.cgroup.devices.deny = a', 'lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed']));
    expect(privileged.filter((line) => line.startsWith('lxc.idmap'))).toEqual([]);
    const unified = lines({ spec: { ...spec, idmap: [] }, rootfsIdmapped: false, devicesUnified: true, devices: { files: [], rules: ['c 4:71 rwm'] } });
    expect(unified.filter((line) => line.startsWith('lxc.cgroup')).slice(3)).toEqual(expect.arrayContaining(['lxc.cgroup2.devices.deny = a', 'lxc.cgroup2.devices.allow = c 1:3 rwm', 'lxc.cgroup2.devices.allow = c 4:71 rwm']));
    expect(unified.join('\n')).not.toContain('lxc.cgroup.devices');
  });

  it('shows the guest API unless it is forbidden', () => {
    expect(lines({})).toContain('lxc.mount.entry = /state/devlxd dev/lxd none bind,ro,create=dir 0 0');
    expect(lxcConfig({ ...input, spec: { ...spec, config: { 'security.devlxd': 'false' } } })).not.toContain('dev/lxd');
  });

  it("asks LXC's hook for the NVIDIA runtime", () => {
    expect(lines({ spec: { ...spec, config: { 'nvidia.runtime': 'true', 'nvidia.require.cuda': '>=9.0' } } })).toEqual(expect.arrayContaining([
      'lxc.environment = NVIDIA_VISIBLE_DEVICES=none', 'lxc.environment = NVIDIA_DRIVER_CAPABILITIES=compute,utility', 'lxc.environment = NVIDIA_REQUIRE_CUDA=>=9.0', 'lxc.hook.mount = /usr/share/lxc/hooks/nvidia',
    ]));
    expect(lines({ spec: { ...spec, config: { 'nvidia.runtime': 'true', 'nvidia.driver.capabilities': 'all' } }, devices: { files: [], rules: [], nvidia: ['MIG-1', 'MIG-2'] } })).toEqual(expect.arrayContaining([
      'lxc.environment = NVIDIA_VISIBLE_DEVICES=MIG-1,MIG-2', 'lxc.environment = NVIDIA_DRIVER_CAPABILITIES=all',
    ]));
  });

  it('passes keys of the instance on', () => {
    const config = { 'environment.A': 'b c', 'linux.sysctl.net.x': '1', 'limits.kernel.nofile': '5', 'security.nesting': 'true', 'raw.lxc': 'lxc.signal.halt = SIGTERM\n\n' };

    expect(lines({ spec: { ...spec, config }, cpus: [0, 2] })).toEqual(expect.arrayContaining([
      'lxc.environment = A=b c', 'lxc.sysctl.net.x = 1', 'lxc.prlimit.nofile = 5', 'lxc.mount.entry = proc dev/.lxc/proc proc create=dir,optional 0 0',
      'lxc.cgroup.cpuset.cpus = 0,2',
    ]));
    expect(lines({ spec: { ...spec, config } }).at(-1)).toBe('lxc.signal.halt = SIGTERM');
  });

  it('lets no value become a line of its own', () => {
    expect(() => lines({ spec: { ...spec, config: { 'environment.A': 'x\nlxc.hook.pre-start = /tmp/evil' } } })).toThrow('line break');
  });

  it('describes interfaces and disks', () => {
    const found = lines({
      nics: [{ device: 'lan', kind: 'veth', nictype: 'bridged', name: 'eth0', hostName: 'veth1', parent: 'br0', mac: '00:16:3e:00:00:01', mtu: 1400 }],
      disks: [{ device: 'd', source: '/s', mountedAt: '/devices/c1/disk.d.mnt-a b', target: '/mnt/a b', isDirectory: true, readonly: true, recursive: true, propagation: 'rslave', shifted: true }],
      limits: [{ controller: 'pids', file: 'pids.max', value: '5', unified: false }, { controller: 'memory', file: 'memory.max', value: 'max', unified: true, unset: true }],
    });

    expect(found).toEqual(expect.arrayContaining([
      'lxc.net.0.type = veth', 'lxc.net.0.link = br0', 'lxc.net.0.veth.pair = veth1', 'lxc.net.0.hwaddr = 00:16:3e:00:00:01', 'lxc.net.0.mtu = 1400', 'lxc.net.0.name = eth0',
      'lxc.mount.entry = /devices/c1/disk.d.mnt-a\\040b mnt/a\\040b none ro,rbind,rslave,create=dir,idmap=container 0 0', 'lxc.cgroup.pids.max = 5',
    ]));
    expect(found.join('\n')).not.toContain('memory.max');
  });
});

describe('interfaces without a bridge', () => {
  const nic = { device: 'lan', nictype: 'routed', name: 'eth0', hostName: 'veth1', parent: 'eth9', mac: '', mtu: 0 };
  const linesOf = (changes: Partial<typeof nic> & { kind?: 'veth' | 'ipvlan' }, config: Record<string, string>): string[] =>
    lines({ spec: { ...spec, devices: [{ name: 'lan', config }] }, nics: [{ ...nic, kind: 'veth', ...changes }] }).filter((line) => /^lxc\.net\.0\.(ip|link|l2proxy)/.test(line));

  it('gives a routed one its addresses and the way out', () => {
    expect(linesOf({}, { 'ipv4.address': '10.1.0.9, 10.1.0.10', 'ipv6.address': 'fd42::9', 'ipv6.gateway': 'none' })).toEqual([
      'lxc.net.0.ipv4.gateway = 169.254.0.1', 'lxc.net.0.ipv4.address = 10.1.0.9/32', 'lxc.net.0.ipv4.address = 10.1.0.10/32', 'lxc.net.0.ipv6.address = fd42::9/128',
    ]);
  });

  it('gives one of ipvlan its mode', () => {
    expect(linesOf({ kind: 'ipvlan', nictype: 'ipvlan' }, { 'ipv4.address': '10.1.0.9' })).toEqual([
      'lxc.net.0.link = eth9', 'lxc.net.0.ipvlan.mode = l3s', 'lxc.net.0.ipvlan.isolation = bridge', 'lxc.net.0.l2proxy = 1', 'lxc.net.0.ipv4.address = 10.1.0.9/32', 'lxc.net.0.ipv4.gateway = dev',
    ]);
    expect(linesOf({ kind: 'ipvlan', nictype: 'ipvlan' }, { mode: 'l2', 'ipv4.address': '10.1.0.9, 10.1.5.9/16', 'ipv4.gateway': '10.1.0.1' })).toEqual([
      'lxc.net.0.link = eth9', 'lxc.net.0.ipvlan.mode = l2', 'lxc.net.0.ipvlan.isolation = bridge', 'lxc.net.0.ipv4.address = 10.1.0.9/24', 'lxc.net.0.ipv4.address = 10.1.5.9/16', 'lxc.net.0.ipv4.gateway = 10.1.0.1',
    ]);
  });
});

describe('escapeMountPath', () => {
  it('escapes what fstab separates by', () => {
    expect(escapeMountPath('/a b\tc\\d\ne')).toBe('/a\\040b\\011c\\134d\\012e');
  });
});
