import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildForGuests } from '../support/guest-programs.js';
import { LxcFixture, until, whyNoContainers, type ExecResult } from '../support/lxc-fixture.js';
import { unmet } from '../support/needs.js';
import { messageOf } from '#kernel';
import type { DeviceSpec } from '#ports';

const key = (name: string): string => `security.syscalls.intercept.${name}`;
const every = {
  [key('mknod')]: 'true', [key('setxattr')]: 'true', [key('sched_setscheduler')]: 'true', [key('bpf')]: 'true', [key('bpf.devices')]: 'true', [key('mount')]: 'true',
  [key('mount.allowed')]: 'hugetlbfs', [key('mount.fuse')]: 'ext4=/root/fuse-program',
};

describe.skipIf(unmet('intercepted system calls', whyNoContainers()))('system calls that the host carries out for a container', () => {
  let fixture: LxcFixture;
  const tools: DeviceSpec[] = [];
  const run = async (name: string, ...words: string[]): Promise<string> => (await attached(name, ['/tools/syscall-try', ...words])).stdout;
  const shell = (name: string, line: string): Promise<ExecResult> => attached(name, ['sh', '-c', line]);

  /** LXC 5.0.2 loses one attachment in fifty where a filter asks for answers (with LXD: "Failed to retrieve PID of executing child process"). */
  async function attached(name: string, command: string[]): Promise<ExecResult> {
    for (let tries = 1; ; tries++) {
      try {
        return await fixture.run(name, command);
      } catch (error) {
        if (tries === 4 || !messageOf(error).includes('Cannot enter the container')) throw error;
      }
    }
  }

  beforeAll(async () => {
    fixture = new LxcFixture();
    buildForGuests(join(fixture.root, 'tools'), 'syscall-try');
    tools.push({ name: 'tools', config: { type: 'disk', source: join(fixture.root, 'tools'), path: '/tools' } });
    await fixture.open();
    for (const [name, config] of [['with', every], ['without', {}], ['privileged', { ...every, 'security.privileged': 'true' }]] as const) {
      await fixture.host.instances.startInstance(await fixture.create(name, config, tools));
    }
    writeFileSync(`${fixture.state.volume('p', 'container', 'with')}/rootfs/root/fuse-program`, '#!/bin/sh\necho "$@" >/root/fuse-called\nid -u >>/root/fuse-called\ncat /proc/self/cgroup >>/root/fuse-called\n[ "$1" != /dev/bad ]\n', { mode: 0o755 });
  });
  afterAll(() => fixture.dispose());

  it('are refused where nothing was allowed', async () => {
    expect(await run('without', 'mknod', '/root/n', 'c', '1', '3')).toBe('mknod: EPERM\n');
    expect(await run('without', 'setxattr', '/root', 'trusted.overlay.opaque', 'y')).toBe('setxattr: EPERM\n');
    expect(await run('without', 'scheduler', '0')).toMatch(/^sched_setscheduler: EPERM\nnow 0\n/);
    expect(await run('without', 'mount', 'none', '/mnt', 'hugetlbfs')).toBe('mount: EPERM\n');
    expect(await run('without', 'bpf', '/sys/fs/cgroup')).toBe('load: EPERM\n');
  });

  it('mknod: harmless devices, which then work, on the root file system and in /dev', async () => {
    for (const [major, minor] of [['1', '3'], ['1', '5'], ['1', '7'], ['1', '8'], ['1', '9']] as const) {
      expect(await run('with', 'mknod', `/root/d${major}.${minor}`, 'c', major, minor)).toBe('mknod: ok\nopen: ok\n');
      expect(await run('with', 'mknod', `/dev/d${major}.${minor}`, 'c', major, minor)).toBe('mknod: ok\nopen: ok\n');
    }
    expect((await shell('with', 'mount -t tmpfs none /mnt && /tools/syscall-try mknod /mnt/null c 1 3; echo x >/mnt/null; stat -c "%t:%T" /mnt/null; umount /mnt')).stdout).toBe('mknod: ok\nopen: ok\n1:3\n');
    expect((await shell('with', 'cd /root && umask 077 && /tools/syscall-try mknod whiteout c 0 0; stat -c "%u %g %a %F %t:%T" whiteout')).stdout).toContain('0 0 600 character special file 0:0');
    expect(statSync(`${fixture.state.volume('p', 'container', 'with')}/rootfs/root/d1.3`).rdev).toBe(0x103);
  });

  it('mknod: no other device, no other place, nobody but root of the container itself', async () => {
    for (const device of [['c', '1', '1'], ['c', '10', '229'], ['b', '7', '0'], ['b', '1', '3'], ['c', '1', '11']] as const) expect(await run('with', 'mknod', '/root/bad', ...device)).toBe('mknod: EPERM\n');
    expect(await run('with', 'mknod', '/root/d1.3', 'c', '1', '3')).toBe('mknod: EEXIST\n');
    expect(await run('with', 'mknod', '/root/none/x', 'c', '1', '3')).toBe('mknod: ENOENT\n');
    expect(await run('with', 'mknod', '/tools/x', 'c', '1', '3')).toBe('mknod: EACCES\n');
    expect(await run('with', 'mknod', '/root/../../../root/x', 'c', '1', '3')).toBe('mknod: ok\nopen: ok\n');
    expect(existsSync('/root/x')).toBe(false);
    expect(await run('with', 'in-userns', 'mknod', '/tmp/mine', 'c', '1', '3')).toBe('mknod: EPERM\n');
    expect((await shell('with', '/bin/busybox mkdir /tmp/open; /bin/busybox chmod 777 /tmp/open; /tools/syscall-try as-user mknod /tmp/open/x c 1 3')).stdout).toContain('mknod: EPERM\n');
  });

  it('setxattr: the mark of overlay file systems and nothing else', async () => {
    expect(await run('with', 'setxattr', '/root', 'trusted.overlay.opaque', 'y')).toBe('setxattr: ok\n');
    for (const [name, value] of [['trusted.overlay.opaque', 'n'], ['trusted.other', 'y'], ['trusted.overlay.opaque', 'yes'], ['security.capability', 'y']] as const) {
      expect(await run('with', 'setxattr', '/root', name, value)).toMatch(/^setxattr: (EPERM|EINVAL)\n/);
    }
    expect(await run('with', 'setxattr', '/root', 'user.mine', 'y')).toBe('setxattr: ok\n');
  });

  /** Version 1 of control groups gives none of the time for such processes to a new group. */
  function allowRealTime(): void {
    for (const path of ['', '/with', '/with/payload']) {
      const file = `/sys/fs/cgroup/cpu/${fixture.paths.cgroupRoot}${path}/cpu.rt_runtime_us`;
      if (existsSync(file)) writeFileSync(file, '10000');
    }
  }

  it('sched_setscheduler: of itself and of others in its own pid namespace', async () => {
    allowRealTime();
    expect(await run('with', 'scheduler', '0')).toBe('sched_setscheduler: ok\nnow 2\n');
    expect((await shell('with', 'sleep 60 & pid=$!; /tools/syscall-try scheduler $pid; kill $pid')).stdout).toBe('sched_setscheduler: ok\nnow 2\n');
    expect(await run('with', 'scheduler', '31000')).toMatch(/^sched_setscheduler: ESRCH\n/);
  });

  it('mount: what is allowed, as its root, and changed while it runs', async () => {
    expect(await run('with', 'mount', 'none', '/mnt', 'hugetlbfs', 'uid=0,mode=700,gid=5')).toBe('mount: ok\n');
    expect((await shell('with', 'stat -c "%u %g %a" /mnt; grep hugetlbfs /proc/mounts | grep -c /mnt; umount /mnt')).stdout).toBe('0 0 700\n1\n');
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(`${fixture.root}/storage-pools/p/containers/with/rootfs/mnt`);
    expect(await run('with', 'mount', '/dev/vda', '/mnt', 'xfs')).toBe('mount: EPERM\n');
    const before = fixture.spec('with', every, tools);
    await fixture.host.instances.updateInstance(before, { ...before, config: { ...every, [key('mount.allowed')]: '' } });
    expect(await run('with', 'mount', 'none', '/mnt', 'hugetlbfs')).toBe('mount: EPERM\n');
    await fixture.host.instances.updateInstance({ ...before, config: { ...every, [key('mount.allowed')]: '' } }, before);
    expect((await shell('with', '/tools/syscall-try mount none /mnt tmpfs && umount /mnt')).stdout).toBe('mount: ok\n');
  });

  it('mount: by a program of the container, as its own root and in its own cgroups', async () => {
    expect(await run('with', 'mount', '/dev/some', '/mnt', 'ext4', 'discard')).toBe('mount: ok\n');
    const [called, uid, ...cgroups] = (await shell('with', 'cat /root/fuse-called')).stdout.trimEnd().split('\n');
    expect([called, uid]).toEqual(['/dev/some /mnt -o rw,discard', '0']);
    expect(cgroups.filter((line) => line.includes('..'))).toEqual([]);
    expect(await run('with', 'mount', '/dev/bad', '/mnt', 'ext4')).toBe('mount: EINVAL\n');
  });

  it('bpf: programs on devices for a cgroup of its own', async () => {
    const tried = (await shell('with', 'set -- $(grep " cgroup2 " /proc/mounts); [ -n "$2" ] && /tools/syscall-try bpf "$2"')).stdout;
    // Without version 2 of control groups inside there is nothing to attach to.
    expect(['load: ok\nattach: ok\ndetach: ok\n', '']).toContain(tried);
    if (tried === '') expect(await run('with', 'bpf', '/root')).toContain('load: ok\nattach: EBADF\n');
  });

  it('leave a privileged container to the kernel', async () => {
    expect(await run('privileged', 'mknod', '/root/n', 'c', '1', '3')).toBe('mknod: ok\nopen: ok\n');
    expect(readFileSync(fixture.paths.config('privileged'), 'utf8')).not.toContain('seccomp.notify');
  });

  it('go on after the agent and its helper are gone and back', async () => {
    await fixture.restartAgent();
    await until(async () => (await run('with', 'mknod', '/root/again', 'c', '1', '3')) === 'mknod: ok\nopen: ok\n', 10_000);
  });
});
