import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';

/** What the configuration keys of a container do inside of it, on Roost and on real LXD. docs/instance-keys.md refers to this. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare();
});
afterAll(() => pair.destroy());

const options: CompareOptions = {
  // Paths of state directories, and the words around an error, which name LXD's own commands.
  normalise: (text) => text.replaceAll(/Try `lxc info --show-log.*/g, '').replaceAll(/.*(doesn't have any network attached|To create a new network|To attach a network).*/g, '').trim(),
};

function lines(title: string, commands: string): void {
  describe(title, () => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))) {
      it(command, () => { same(pair.roost, pair.lxd, command, options); });
    }
  });
}

const cgroup = (controller: string, ...files: string[]): string => `lxc exec c1 -- cat ${files.map((file) => `/sys/fs/cgroup/${controller}/${file}`).join(' ')}`;

lines('limits on control groups', `
  lxc launch bb c1 -q -c limits.memory=100MB -c limits.processes=77 -c limits.cpu=1 -c limits.cpu.allowance=20ms/80ms -c limits.cpu.priority=4 -c limits.memory.swap.priority=3 2>/dev/null
  ${cgroup('memory', 'memory.limit_in_bytes', 'memory.soft_limit_in_bytes', 'memory.swappiness')}
  ${cgroup('pids', 'pids.max')}
  ${cgroup('cpu', 'cpu.cfs_quota_us', 'cpu.cfs_period_us', 'cpu.shares')}
  lxc exec c1 -- nproc
  lxc config set c1 limits.memory=25% limits.memory.enforce=soft
  ${cgroup('memory', 'memory.limit_in_bytes', 'memory.soft_limit_in_bytes')}
  lxc config set c1 limits.memory.swap=false
  ${cgroup('memory', 'memory.swappiness')}
  lxc config set c1 limits.cpu.allowance=50%
  ${cgroup('cpu', 'cpu.cfs_quota_us', 'cpu.shares')}
  lxc config set c1 limits.processes=abc
  lxc config set c1 limits.memory=1
  lxc config unset c1 limits.memory
  lxc config unset c1 limits.memory.enforce
  lxc config unset c1 limits.memory.swap
  lxc config unset c1 limits.processes
  lxc config unset c1 limits.cpu
  lxc config unset c1 limits.cpu.allowance
  lxc config unset c1 limits.cpu.priority
  ${cgroup('memory', 'memory.limit_in_bytes')}
  ${cgroup('pids', 'pids.max')}
  ${cgroup('cpu', 'cpu.cfs_quota_us', 'cpu.shares')}
  lxc exec c1 -- nproc
  lxc config set c1 limits.network.priority=5
  lxc config set c1 limits.network.priority=11
  lxc config set c1 limits.disk.priority=11
  lxc delete -f c1
`);

lines('limits, parameters and environment of its processes', `
  lxc launch bb c1 -q -c limits.kernel.nofile=3000:4000 -c limits.kernel.nproc=500 -c limits.kernel.core=unlimited -c linux.sysctl.net.ipv4.ip_forward=1 -c environment.GREETING="hello there" 2>/dev/null
  lxc exec c1 -- sh -c 'grep -E "open files|processes|core" /proc/1/limits'
  lxc exec c1 -- sh -c 'ulimit -n; cat /proc/sys/net/ipv4/ip_forward; echo $GREETING; tr "\\0" "\\n" </proc/1/environ | grep GREETING'
  lxc config set c1 environment.GREETING=live
  lxc exec c1 -- sh -c 'echo $GREETING'
  lxc config set c1 limits.kernel.nofile=5000
  lxc config set c1 limits.kernel.nosuch=1
  lxc delete -f c1
`);

lines('ids', `
  lxc launch bb c1 -q -c security.privileged=true 2>/dev/null
  lxc exec c1 -- sh -c 'cat /proc/self/uid_map; grep CapBnd /proc/self/status'
  lxc delete -f c1
  lxc launch bb c1 -q -c security.idmap.isolated=true -c security.idmap.size=70000 2>/dev/null
  lxc exec c1 -- awk '{print $1, $3}' /proc/self/uid_map /proc/self/gid_map
  lxc delete -f c1
  lxc launch bb c1 -q -c security.idmap.isolated=true -c security.idmap.base=2000000 2>/dev/null
  lxc exec c1 -- cat /proc/self/uid_map
  lxc delete -f c1
`);

lines('security', `
  lxc launch bb c1 -q -c security.nesting=true -c security.protection.delete=true 2>/dev/null
  lxc exec c1 -- ls /dev/.lxc
  lxc delete -f c1
  lxc config set c1 security.protection.delete=false
  lxc delete -f c1
  lxc launch bb c1 -q -c security.syscalls.deny="chmod errno 1" 2>/dev/null
  lxc exec c1 -- chmod 700 /root
  lxc exec c1 -- mkdir /root/d
  lxc delete -f c1
  lxc launch bb c1 -q -c raw.seccomp="$(printf '2\\ndenylist\\n[all]\\nmkdir errno 13\\n')" 2>/dev/null
  lxc exec c1 -- mkdir /root/d
  lxc delete -f c1
  lxc launch bb c1 -q -c raw.lxc="$(printf 'lxc.environment = RAW=yes\\nlxc.uts.name = other')" 2>/dev/null
  lxc exec c1 -- sh -c 'tr "\\0" "\\n" </proc/1/environ | grep RAW; hostname'
  lxc delete -f c1
  lxc init bb c1 -q -c security.secureboot=true
  lxc init bb c1 -q -c limits.memory.hugepages=true
  lxc init bb c1 -q -c security.syscalls.allow=read -c security.syscalls.deny=write
  lxc init bb c1 -q -c raw.seccomp=2 -c security.syscalls.deny=write
  lxc init bb c1 -q -c security.privileged=true -c nvidia.runtime=true
  lxc init bb c1 -q -c nosuch.key=1
  lxc init bb c1 -q -c migration.incremental.memory=perhaps
  lxc list -f csv
`);

describe('what this host cannot do', () => {
  let tried = 0;
  it.each([
    ['linux.sysctl.nosuch.thing=1', 'Failed to'], ['limits.kernel.nosuch=1', 'Failed to'], ['linux.kernel_modules=nosuchmodule', "Failed to load kernel module 'nosuchmodule'"],
    ['raw.idmap="both 1000 1000"', 'Failed to'],
    ['nvidia.runtime=true', "The NVIDIA container tools couldn't be found"],
    ['limits.disk.priority=5', 'Cannot apply limits.disk.priority as blkio.weight cgroup controller is missing'],
  ])('%s is refused at the start at the latest, in the same words', (setting, words) => {
    // LXD holds on to an instance whose start failed for a while, so each has its own.
    const name = `h${++tried}`;
    for (const target of pair.both) {
      const refused = target.run(`lxc init bb ${name} -q -c ${setting} 2>&1; lxc start ${name} 2>&1`).stdout;
      expect(refused, target.kind).toContain(words);
      expect(must(target, 'lxc list -f csv -c s')).not.toContain('RUNNING');
    }
  });
});
