import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same } from '../support/compare.js';
import { buildForGuests } from '../support/guest-programs.js';
import { must, Pair } from '../support/pair.js';

/**
 * The seccomp policy of an instance and what it lets root inside do, on Roost and on real LXD. What of it LXD 5.0.2 itself cannot do on this kernel (mknod fails there without
 * an errno) is in test/e2e.
 */
const pair = new Pair();
const key = (name: string): string => `security.syscalls.intercept.${name}`;

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    buildForGuests(join(target.root, 'tools'), 'syscall-try');
    must(target, `lxc profile device add default tools disk source=${join(target.root, 'tools')} path=/tools`);
  }
});
afterAll(() => pair.destroy());

describe('policies', () => {
  it.each([
    ['security.nesting'], [key('mknod')], [key('setxattr')], [key('bpf')], [key('mount')], [key('sched_setscheduler')], [key('mknod'), key('mount'), key('bpf'), key('setxattr')],
    ['security.syscalls.deny_compat'], [key('mknod'), 'security.syscalls.deny_compat'], ['security.privileged'],
  ])('with %j', (...keys) => {
    const policies = pair.both.map((target) => {
      must(target, `lxc init bb p1 -q ${keys.map((name) => `-c ${name}=true`).join(' ')} -c security.syscalls.deny=chmod && lxc start p1 2>/dev/null`);
      const policy = must(target, `cat ${target.dir}/security/seccomp/p1`).trimEnd();
      must(target, 'lxc delete -f p1');
      return policy;
    });
    expect(policies[0]).toBe(policies[1]);
  });
});

describe('what root inside may do', () => {
  const all = ['mknod', 'setxattr', 'bpf', 'bpf.devices', 'mount', 'sched_setscheduler'].map((name) => `-c ${key(name)}=true`).join(' ');
  const lines = `
    lxc launch bb c1 -q ${all} -c ${key('mount.allowed')}=hugetlbfs 2>/dev/null
    lxc exec c1 -- /tools/syscall-try mknod /root/mem c 1 1
    lxc exec c1 -- /tools/syscall-try mknod /root/loop b 7 0
    lxc exec c1 -- /tools/syscall-try setxattr /root trusted.overlay.opaque y
    lxc exec c1 -- /tools/syscall-try setxattr /root trusted.other y
    lxc exec c1 -- /tools/syscall-try scheduler 0 | grep now
    lxc exec c1 -- /tools/syscall-try mount none /mnt xfs
    lxc exec c1 -- /tools/syscall-try mount none /mnt hugetlbfs
    lxc exec c1 -- sh -c 'stat -c "%u %g" /mnt; umount /mnt'
    lxc config set c1 ${key('mount.allowed')}=ext4
    lxc exec c1 -- /tools/syscall-try mount none /mnt hugetlbfs
    lxc config set c1 ${key('mknod')}=maybe
    lxc config set c1 ${key('sysinfo')}=true
    lxc restart -f c1
  `;
  for (const line of lines.split('\n').map((text) => text.trim()).filter((text) => text !== '')) it(line, () => { same(pair.roost, pair.lxd, line); });
});
