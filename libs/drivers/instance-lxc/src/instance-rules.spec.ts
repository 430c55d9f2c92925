import { describe, expect, it } from 'vitest';
import type { CgroupLayout } from '#host';
import type { InstanceSpec } from '#ports';
import { pinCpus } from './cpu-pinning.rules.js';
import { execDirectory, execEnvironment, sessionFields } from './exec-environment.rules.js';
import { checkDiskSource, checkRawLxc, policyForPlainDaemon, policyForRootDaemon } from './host-policy.js';
import { parseHookLine } from './hook-fifo.js';
import { formatIdmap, hostId, parseIdmap } from './idmap.rules.js';
import { planNics } from './nic-devices.rules.js';
import { interceptionSettings, seccompPolicy } from './seccomp-policy.rules.js';
import { checkImageRequirements } from './container-starter.js';
import { signalNumber } from './container-stopper.js';
import { diskMountPoint } from './disk-devices.js';
import { parseIoV1, parseIoV2 } from './container-usage.js';

describe('checkImageRequirements', () => {
  const layout = (v1: string[]): CgroupLayout => ({ v1: new Map(v1.map((name) => [name, `/sys/fs/cgroup/${name}`])), v2: '/sys/fs/cgroup/unified', v2Controllers: new Set() });

  it('refuses an image that needs control groups the host has not', () => {
    const needs = { 'image.requirements.cgroup': 'v1' };
    expect(() => checkImageRequirements(needs, layout([]))).toThrow('The image used by this instance requires a CGroupV1 host system');
    expect(() => checkImageRequirements(needs, layout(['memory']))).not.toThrow();
    expect(() => checkImageRequirements({ 'image.requirements.cgroup': 'v2' }, layout([]))).not.toThrow();
  });
});

describe('pinCpus', () => {
  it('spreads counts over the CPUs that are used least', () => {
    const pins = pinCpus([0, 1, 2, 3], [
      { projectName: 'fixed', limit: '0-1' }, { projectName: 'a', limit: '1' }, { projectName: 'b', limit: '1' }, { projectName: 'big', limit: '2' }, { projectName: 'all', limit: '' },
    ]);

    expect(Object.fromEntries(pins)).toEqual({ fixed: [0, 1], big: [2, 3], a: [0], b: [1] });
  });

  it('takes of a list what is there, and of too high a count all', () => {
    const pins = pinCpus([0, 1], [{ projectName: 'a', limit: '1-7' }, { projectName: 'b', limit: '5-6' }, { projectName: 'c', limit: '9' }]);

    expect(Object.fromEntries(pins)).toEqual({ a: [1], c: [0, 1] });
  });
});

describe('idmaps', () => {
  const text = '[{"Isuid":true,"Isgid":false,"Hostid":100000,"Nsid":0,"Maprange":65536},{"Isuid":false,"Isgid":true,"Hostid":200000,"Nsid":0,"Maprange":65536}]';

  it('keeps the text LXD has', () => {
    expect(formatIdmap(parseIdmap(text))).toBe(text);
    expect(parseIdmap('')).toEqual([]);
    expect(parseIdmap('nonsense')).toEqual([]);
  });

  it('maps ids', () => {
    expect(hostId(parseIdmap(text), 33, 'uid')).toBe(100_033);
    expect(hostId(parseIdmap(text), 33, 'gid')).toBe(200_033);
    expect(hostId(parseIdmap(text), 70_000, 'uid')).toBeNull();
    expect(hostId([], 33, 'uid')).toBe(33);
  });
});

describe('planNics', () => {
  const spec = (config: Record<string, string>, nics: [string, Record<string, string>][]): InstanceSpec => ({
    id: 1, project: 'default', name: 'c1', projectName: 'c1', type: 'container', architecture: 'x86_64', ephemeral: false, config, volumes: [], idmap: [], placementEpoch: 1,
    devices: nics.map(([name, device]) => ({ name, config: { type: 'nic', ...device } })), nics: nics.map(([device]) => ({ device, parent: 'br0', network: 'br0', networkConfig: { 'bridge.mtu': '1400' } })),
    rootVolume: { pool: { name: 'p', driver: 'dir', config: {} }, kind: 'container', name: 'c1' },
  });

  it('chooses what is left open and remembers it', () => {
    const { nics, volatile } = planNics(spec({}, [['lan', {}], ['other', { name: 'eth0', hwaddr: '00:16:3e:00:00:01', mtu: '1300' }]]));

    expect(nics[0]).toMatchObject({ device: 'lan', kind: 'veth', name: 'eth1', parent: 'br0', mtu: 1400, mac: expect.stringMatching(/^00:16:3e(:[0-9a-f]{2}){3}$/) });
    expect(nics[1]).toMatchObject({ name: 'eth0', mac: '00:16:3e:00:00:01', mtu: 1300 });
    expect(Object.keys(volatile).sort()).toEqual(['volatile.lan.host_name', 'volatile.lan.hwaddr', 'volatile.lan.name', 'volatile.other.host_name']);
  });

  it('keeps what was chosen before, except for the name on the host', () => {
    const known = { 'volatile.lan.name': 'eth5', 'volatile.lan.hwaddr': '00:16:3e:00:00:02', 'volatile.lan.host_name': 'vethold' };
    const { nics, volatile } = planNics(spec(known, [['lan', {}]]));

    expect(nics[0]).toMatchObject({ name: 'eth5', mac: '00:16:3e:00:00:02' });
    expect(nics[0]!.hostName).not.toBe('vethold');
    expect(Object.keys(volatile)).toEqual(['volatile.lan.host_name']);
  });

  it('refuses types this host cannot make', () => {
    expect(() => planNics(spec({}, [['lan', { nictype: 'ovn' }]]))).toThrow('Network interface type "ovn"');
  });
});

describe('seccompPolicy', () => {
  it('is the default list, the configured one, or raw', () => {
    expect(seccompPolicy({}, 'x86_64')).toContain('delete_module errno 38');
    expect(seccompPolicy({ 'security.syscalls.deny_default': 'false', 'security.syscalls.deny': 'mknod errno 0' }, 'x86_64')).toBe('2\ndenylist\n[all]\nmknod errno 0\n');
    expect(seccompPolicy({ 'security.syscalls.allow': 'read' }, 'x86_64')).toBe('2\nallowlist\n[all]\nread\n');
    expect(seccompPolicy({ 'raw.seccomp': 'mine' }, 'x86_64')).toBe('mine');
    const intercepted = { 'security.syscalls.intercept.mknod': 'true', 'security.syscalls.intercept.mount': 'true', 'security.syscalls.intercept.mount.fuse': 'ext4=fuse2fs, xfs=x', 'security.syscalls.intercept.mount.allowed': 'hugetlbfs' };
    expect(seccompPolicy(intercepted, 'x86_64')).toContain('seccomp errno 22 [1,8,SCMP_CMP_MASKED_EQ,8]\nmknod notify [1,8192,SCMP_CMP_MASKED_EQ,61440]\n');
    expect(seccompPolicy({ ...intercepted, 'security.privileged': 'true' }, 'x86_64')).not.toContain('notify');
    expect(interceptionSettings(intercepted)).toBe('allowed hugetlbfs\nfuse ext4 fuse2fs\nfuse xfs x\n');
    expect(interceptionSettings({ ...intercepted, 'security.syscalls.intercept.mount': '', 'security.syscalls.intercept.bpf.devices': 'true' })).toBe('bpf-devices\n');
  });
});

describe('host policy', () => {
  it('keeps programs of a daemon without root from running as root', () => {
    const hook = 'lxc.signal.halt = SIGTERM\n lxc.hook.pre-start = /tmp/evil';

    expect(() => checkRawLxc(hook, policyForPlainDaemon)).toThrow('lxc.hook.pre-start');
    expect(() => checkRawLxc('lxc.include=/tmp/x', policyForPlainDaemon)).toThrow('lxc.include');
    expect(() => checkRawLxc('lxc.signal.halt = SIGTERM', policyForPlainDaemon)).not.toThrow();
    expect(() => checkRawLxc(hook, policyForRootDaemon)).not.toThrow();
  });

  it('lets nobody take a container out of our cgroup', () => {
    expect(() => checkRawLxc('lxc.cgroup.dir.container = elsewhere', policyForRootDaemon)).toThrow('lxc.cgroup.dir.container');
  });

  it('keeps the host itself from being a disk', () => {
    const own = { refused: '/var/lib/roost', allowed: '/var/lib/roost/storage-pools' };

    for (const source of ['/', '/etc', '/etc/shadow', '/var/lib/roost/database']) expect(() => checkDiskSource(source, policyForPlainDaemon, own), source).toThrow('policy');
    for (const source of ['/home/x', '/etcetera', '/var/lib/roost/storage-pools/p/custom/v']) expect(() => checkDiskSource(source, policyForPlainDaemon, own), source).not.toThrow();
    expect(() => checkDiskSource('/home/x', { ...policyForRootDaemon, diskSources: ['/srv'] }, own)).toThrow('policy');
    expect(() => checkDiskSource('/', policyForRootDaemon, own)).not.toThrow();
  });
});

describe('exec', () => {
  it('gives root a home and everybody a path', () => {
    const environment = execEnvironment({ 'environment.A': '1', 'user.x': 'no' }, { B: '2' }, 0, true);

    expect(environment).toEqual({ A: '1', B: '2', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin', HOME: '/root', USER: 'root', LANG: 'C.UTF-8' });
    expect(execEnvironment({}, { PATH: '/x' }, 1000, false)).toEqual({ PATH: '/x', LANG: 'C.UTF-8' });
    expect(execDirectory('', environment)).toBe('/root');
    expect(execDirectory('', {})).toBe('/');
  });

  it('are told to the helper in its order', () => {
    const fields = sessionFields({
      interactive: false, ends: 'output', uid: 0, gid: 0, hostUid: 1, hostGid: 2, width: 80, height: 25, cwd: '/tmp', environment: { A: 'b c' }, command: ['echo', 'ä b'],
    });

    expect(fields).toEqual([0, 'output', 0, 0, 1, 2, 80, 25, '/tmp', 1, 'A=b c', 2, 'echo', 'ä b']);
  });
});

describe('small texts', () => {
  it('reads hook lines', () => {
    expect(parseHookLine('web_c1 reboot')).toEqual({ projectName: 'web_c1', target: 'reboot' });
    expect(parseHookLine('x')).toBeNull();
  });

  it('reads signals as LXC does', () => {
    expect(['SIGPWR', 'TERM', '9', 'SIGRTMIN+3', 'RTMAX-1', 'NO'].map(signalNumber)).toEqual([30, 15, 9, 37, 63, null]);
  });

  it('names the place of a disk as LXD does', () => {
    expect(diskMountPoint('/d/c1', 'my-disk', '/mnt/d 2')).toBe('/d/c1/disk.my--disk.mnt-d 2');
  });

  it('reads block I/O of both versions', () => {
    expect(parseIoV1('254:0 Read 4096\n254:0 Write 1\n254:0 Total 9\nTotal 9', '254:0 Read 2\n254:0 Write 3')).toEqual([{ device: '254:0', readBytes: 4096, writtenBytes: 1, reads: 2, writes: 3 }]);
    expect(parseIoV2('254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0')).toEqual([{ device: '254:0', readBytes: 1, writtenBytes: 2, reads: 3, writes: 4 }]);
  });
});
