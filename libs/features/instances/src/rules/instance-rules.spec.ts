import { describe, expect, it } from 'vitest';
import { hostShutdownTimeoutMs, instancesToStart, stopGroups } from './boot-order.rules.js';
import { expand, sorted } from './expand.rules.js';
import { execDirectory, execEnvironment } from './exec-environment.rules.js';
import { checkInstanceName, makeUpName } from './instance-name.rules.js';
import { limitsOfSize } from './instance-size.rules.js';
import { checkLogName, checkLogRemoval } from './log-names.rules.js';
import { fileSystemType, goFloat, metricsText } from './metrics.rules.js';
import { allocateVolatile, dropsIdmapKeys, isHostDerived, mergeVolatile, newMacAddress, separateVolatile, staleLocalKeys } from './volatile.rules.js';

describe('names', () => {
  it.each([
    ['-x', 'Name must not start with "-" character'], ['a_b', 'Name can only contain alphanumeric and hyphen characters'], ['1ab', 'Name must not start with a number'],
    ['ab-', 'Name must not end with "-" character'], ['', 'Name must be 1-63 characters long'], ['a'.repeat(64), 'Name must be 1-63 characters long'],
  ])('refuses %j', (name, reason) => {
    expect(() => checkInstanceName(name)).toThrow(`Invalid instance name: ${reason}`);
  });

  it('makes up names it would accept', () => {
    for (const value of [0, 0.5, 0.999]) expect(() => checkInstanceName(makeUpName(() => value))).not.toThrow();
  });
});

describe('sizes', () => {
  it.each([
    ['c2-m1', { 'limits.cpu': '2', 'limits.memory': '1024MB' }], ['c0.5-m0.5', { 'limits.cpu': '1', 'limits.cpu.allowance': '50%', 'limits.memory': '512MB' }],
    ['m2', { 'limits.memory': '2048MB' }], ['c3', { 'limits.cpu': '3' }], ['t2.micro', { 'limits.cpu': '1', 'limits.memory': '1024MB' }],
  ])('knows %s', (name, limits) => expect(limitsOfSize(name)).toEqual(limits));

  it('refuses others', () => expect(() => limitsOfSize('zzz')).toThrow("Provided instance type doesn't exist: zzz"));
});

describe('expansion', () => {
  it('lets later profiles and the own keys win, devices as a whole, and sorts', () => {
    const profile = { config: { b: '1', a: '1' }, devices: { eth0: { type: 'nic', network: 'n' } } };
    const own = { config: { b: '2' }, devices: { eth0: { type: 'none' } } };

    expect(JSON.stringify(expand([profile], own))).toBe('{"config":{"a":"1","b":"2"},"devices":{"eth0":{"type":"none"}}}');
    expect(Object.keys(sorted({ b: 1, a: 2 }))).toEqual(['a', 'b']);
  });
});

describe('volatile keys', () => {
  it('tells what the host decided from what was allocated', () => {
    for (const key of ['volatile.eth0.host_name', 'volatile.last_state.power', 'volatile.last_state.idmap', 'volatile.idmap.current']) expect(isHostDerived(key)).toBe(true);
    for (const key of ['volatile.eth0.hwaddr', 'volatile.uuid', 'volatile.idmap.base', 'volatile.idmap.next', 'user.last_state.power']) expect(isHostDerived(key)).toBe(false);
  });

  it('lays the member over the row; an empty value hides', () => {
    expect(mergeVolatile({ a: '1', b: '2' }, { b: '', c: '3' })).toEqual({ a: '1', c: '3' });
  });

  it('keeps unchanged keys where they are and sends the others to the member', () => {
    const before = { row: { 'user.a': '1', 'volatile.last_state.idmap': '[]' }, local: { 'volatile.last_state.power': 'RUNNING' } };
    const separated = separateVolatile({ 'user.a': '2', 'volatile.last_state.idmap': '[]', 'volatile.last_state.power': 'STOPPED' }, before);

    expect(separated).toEqual({ row: { 'user.a': '2', 'volatile.last_state.idmap': '[]' }, local: { 'volatile.last_state.power': 'STOPPED' } });
  });

  it('allocates once, for NICs without an address of their own, and forgets those that are gone', () => {
    const random = { uuid: () => 'u', hex: () => 'aabbcc' };
    const devices = { eth0: { type: 'nic' }, eth1: { type: 'nic', hwaddr: '00:16:3e:00:00:01' } };
    const first = allocateVolatile({ 'volatile.eth7.hwaddr': 'x' }, devices, random);

    expect(first).toEqual({ 'volatile.uuid': 'u', 'volatile.cloud-init.instance-id': 'u', 'volatile.eth0.hwaddr': '00:16:3e:aa:bb:cc' });
    expect(allocateVolatile(first, devices, { uuid: () => 'v', hex: () => 'ddeeff' })).toEqual(first);
    expect(newMacAddress(() => '010203')).toBe('00:16:3e:01:02:03');
  });

  it('makes up no address for a NIC that takes a link of the host, also by its network', () => {
    const nics = { a: { type: 'nic', nictype: 'sriov', parent: 'p' }, b: { type: 'nic', network: 'functions' }, c: { type: 'nic', network: 'lan' } };
    const network = (name: string) => ({ name, type: name === 'functions' ? 'sriov' : 'macvlan', config: {} });

    expect(Object.keys(allocateVolatile({}, nics, { uuid: () => 'u', hex: () => 'aabbcc' }, network)).filter((key) => key.endsWith('.hwaddr'))).toEqual(['volatile.c.hwaddr']);
  });

  it('protects the keys that say how ids lie on disk', () => {
    expect(dropsIdmapKeys({ 'volatile.idmap.base': '0' }, {})).toBe(true);
    expect(dropsIdmapKeys({ 'volatile.idmap.base': '0' }, { 'volatile.idmap.base': '5' })).toBe(false);
  });

  it('finds what devices that are gone left', () => {
    const local = { 'volatile.eth0.host_name': 'v', 'volatile.eth1.host_name': 'w', 'volatile.last_state.power': 'RUNNING', 'volatile.idmap.current': '[]' };
    expect(staleLocalKeys(local, { eth1: { type: 'nic' } })).toEqual(['volatile.eth0.host_name']);
  });
});

describe('boot order', () => {
  const instance = (name: string, config: Record<string, string>) => ({ name, project: 'default', config });

  it('starts what asks for it or ran before, by priority', () => {
    const chosen = instancesToStart([
      instance('ran', { 'volatile.last_state.power': 'RUNNING' }), instance('stopped', { 'volatile.last_state.power': 'STOPPED' }),
      instance('first', { 'boot.autostart': 'true', 'boot.autostart.priority': '5' }), instance('never', { 'boot.autostart': 'false', 'volatile.last_state.power': 'RUNNING' }),
    ]);

    expect(chosen.map(({ name }) => name)).toEqual(['first', 'ran']);
  });

  it('stops the highest priority first, groups at once', () => {
    const groups = stopGroups([instance('b', {}), instance('a', {}), instance('c', { 'boot.stop.priority': '3' })]);

    expect(groups.map((group) => group.map(({ name }) => name))).toEqual([['c'], ['a', 'b']]);
    expect(hostShutdownTimeoutMs(instance('a', {}))).toBe(30_000);
    expect(hostShutdownTimeoutMs(instance('a', { 'boot.host_shutdown_timeout': '5' }))).toBe(5000);
  });
});

describe('exec', () => {
  it('builds the environment', () => {
    expect(execEnvironment({ A: '1', HOME: '/x' }, { 'environment.A': '2', 'environment.B': '3', 'user.c': '4' }, 0)).toEqual({
      A: '1', B: '3', HOME: '/x', LANG: 'C.UTF-8', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', USER: 'root',
    });
    expect(execEnvironment({}, {}, 5)).not.toHaveProperty('HOME');
  });

  it('starts in the home directory unless told', () => {
    expect(execDirectory('', { HOME: '/root' })).toBe('/root');
    expect(execDirectory('', {})).toBe('/');
    expect(execDirectory('/tmp', { HOME: '/root' })).toBe('/tmp');
  });
});

describe('log names', () => {
  it('knows the files clients may see and delete', () => {
    for (const name of ['lxc.log', 'exec_1.stdout']) expect(() => checkLogName(name)).not.toThrow();
    for (const name of ['nope', '../foo', 'exec_/../x', 'snapshot_..', 'qemu.conf']) expect(() => checkLogName(name)).toThrow(`log file name ${name} not valid`);
    expect(() => checkLogRemoval('lxc.conf')).toThrow('lxc.log and lxc.conf may not be deleted');
  });
});

describe('metrics', () => {
  it('writes numbers as Go does', () => {
    expect([0, 1, 57_344, 417_792, 1e6, 24_684_096_000, 0.003998328, 0.00001, 999_999, 123_456.5].map(goFloat))
      .toEqual(['0', '1', '57344', '417792', '1e+06', '2.4684096e+10', '0.003998328', '1e-05', '999999', '123456.5']);
  });

  it('ends even when nothing runs', () => expect(metricsText([])).toBe('# EOF\n'));

  it('writes labels in order, the type where LXD has it', () => {
    const usage = {
      projectName: 'c1', power: 'Running', pid: 1, processes: 3, cpuUsageNs: 0, cpuTimes: [{ cpu: 1, userNs: 8e6, systemNs: 0 }], effectiveCpus: 1, memoryUsageBytes: 10, memoryUsagePeakBytes: 10,
      memoryTotalBytes: 100, swapUsageBytes: 0, swapUsagePeakBytes: 0, memoryStat: { anon: 5, file: 20 }, oomKills: 0, interfaces: [], disks: [], io: [],
    } as const;
    const text = metricsText([{ name: 'c1', project: 'default', type: 'container', usage: { ...usage, cpuTimes: [...usage.cpuTimes], interfaces: [], disks: [], io: [] }, filesystem: { type: 'btrfs', sizeBytes: 1e9, freeBytes: 5 } }]);

    expect(text).toContain('lxd_cpu_seconds_total{cpu="1",mode="user",name="c1",project="default",type="container"} 0.008\n');
    expect(text).toContain('lxd_filesystem_size_bytes{device="",fstype="btrfs",mountpoint="/",name="c1",project="default"} 1e+09\n');
    expect(text).toContain('lxd_memory_MemAvailable_bytes{name="c1",project="default",type="container"} 110\n');
    expect(text).not.toContain('lxd_disk_');
  });

  it('names the file system a pool lies in', () => {
    const mounts = 'none / rootfs rw\n/dev/vda /var ext4 rw\n/dev/loop0 /var/lib/a\\040b/pool btrfs rw\nx /var/lib/a tmpfs rw\n';
    expect(['/var/lib/a b/pool', '/var/lib/a b/pool/x', '/var/lib/a b', '/home'].map((path) => fileSystemType(mounts, path))).toEqual(['btrfs', 'btrfs', 'ext4', 'rootfs']);
  });
});
