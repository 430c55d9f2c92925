import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, Member } from '../support/member.js';
import { needsRoot, unmet } from '../support/needs.js';
import { must } from '../support/pair.js';

/** How often it is started and stopped; the acceptance asks for 50 (`CYCLES=50`), which takes a few minutes. */
const cycles = Number(process.env['CYCLES'] ?? 6);
const bridge = 'dbbr-r';
const reason = needsRoot || (existsSync('/usr/bin/mmdebstrap') ? '' : 'mmdebstrap is not installed');
const member = new Member();

const inside = (line: string): string => must(member, `lxc exec d1 -- sh -c '${line}'`).trim();
/** Booted to the end, whatever the host's kernel refuses a single unit. */
const booted = (): Promise<string> => eventually(() => member.run('lxc exec d1 -- systemctl is-system-running').stdout.trim(), (text) => /^(running|degraded)$/.test(text), 60_000);

/** What grows where something leaks, for the daemon and everything it started. */
function held(): { descriptors: number; mounts: number; processes: number; kilobytes: number } {
  const pids = [member.pid, member.agentPid()];
  const count = (path: string): number => readdirSync(path).length;
  return {
    descriptors: pids.reduce((sum, pid) => sum + count(`/proc/${pid}/fd`), 0),
    mounts: readFileSync('/proc/mounts', 'utf8').split('\n').filter((line) => line.includes(member.root)).length,
    processes: member.leftovers().length,
    kilobytes: pids.reduce((sum, pid) => sum + Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0), 0),
  };
}

describe.skipIf(unmet('Debian with systemd and cloud-init', reason))('Debian with systemd and cloud-init', () => {
  beforeAll(async () => {
    const image = execFileSync(join(import.meta.dirname, '../support/debian-image'), { encoding: 'utf8' }).trim();
    await member.startWith({ bridge });
    must(member, `lxc image import ${image} --alias debian`);
    writeFileSync(join(member.root, 'user-data'), '#cloud-config\nruncmd:\n- [sh, -c, "echo once >>/root/ran; cat /sys/class/net/eth0/address >/root/mac"]\n');
    must(member, 'lxc launch debian d1 -c user.user-data="$(cat user-data)" -c user.meta-data="mark: here"');
    await booted();
  }, 300_000);
  afterAll(async () => expect(await member.destroy()).toEqual([]));

  it('boots unprivileged with its name and an address by DHCP', async () => {
    expect(inside('hostname')).toBe('d1');
    expect(inside('cat /proc/self/uid_map')).not.toMatch(/^\s*0\s+0\s/);
    const { network } = JSON.parse(must(member, 'lxc query /1.0/instances/d1/state')) as { network: Record<string, { addresses: { family: string; address: string; scope: string }[] }> };
    expect(network['eth0']?.addresses.find(({ family, scope }) => family === 'inet' && scope === 'global')?.address).toMatch(/^10\.98\.73\./);
    expect(inside('systemctl --failed --plain --no-legend').split('\n').filter((line) => line !== '' && !line.includes('binfmt'))).toEqual([]);
  });

  it('hands cloud-init its user data over /dev/lxd', async () => {
    await eventually(() => member.run('lxc exec d1 -- cloud-init status').stdout, (text) => text.includes('done'), 60_000);
    expect(inside('cat /root/ran')).toBe('once');
    expect(inside('cat /root/mac')).toBe(must(member, 'lxc config get d1 volatile.eth0.hwaddr').trim());
    expect(inside('cloud-init query platform')).toBe('lxd');
    expect(inside('cloud-init query v1.instance_id')).toBe(must(member, 'lxc config get d1 volatile.cloud-init.instance-id').trim());
  });

  it('does it again for other user data, and not without', async () => {
    must(member, 'lxc restart d1');
    await booted();
    expect(inside('cat /root/ran')).toBe('once');
    must(member, 'lxc config set d1 user.user-data="$(sed s/once/twice/ user-data)"');
    must(member, 'lxc restart d1');
    await booted();
    await eventually(() => member.run('lxc exec d1 -- cat /root/ran').stdout.trim(), (text) => text === 'once\ntwice', 60_000);
  });

  it('shuts down and reboots cleanly, from outside and from inside', async () => {
    must(member, 'lxc exec d1 -- systemctl reboot');
    await eventually(() => member.run('lxc exec d1 -- cat /proc/uptime /proc/1/stat').code, (code) => code === 0, 30_000);
    await booted();
    must(member, 'lxc exec d1 -- systemctl poweroff');
    await eventually(() => must(member, 'lxc list -f csv -c s').trim(), (state) => state === 'STOPPED', 30_000);
    must(member, 'lxc start d1');
    await booted();
    must(member, 'lxc stop d1 --timeout 30');
  });

  it(`leaves nothing behind after ${cycles} starts and stops`, async () => {
    const cycle = async (): Promise<void> => {
      must(member, 'lxc start d1');
      await booted();
      must(member, 'lxc stop d1 --timeout 60');
    };
    // What is loaded and cached at first use is no leak.
    for (let i = 0; i < 2; i++) await cycle();
    const before = held();
    for (let i = 0; i < cycles; i++) await cycle();
    // Connections that are kept alive end a little later.
    const after = await eventually(held, (now) => now.descriptors <= before.descriptors + 2 && now.processes <= before.processes, 20_000);
    process.stderr.write(`${cycles} cycles: before ${JSON.stringify(before)}, after ${JSON.stringify(after)}\n`);

    expect(after.mounts).toBe(before.mounts);
    expect(member.cgroups()).toEqual([]);
    expect(member.portsOf(bridge)).toEqual([]);
    expect(spawnSync('ip', ['-br', 'link'], { encoding: 'utf8' }).stdout).not.toContain(must(member, 'lxc config get d1 volatile.eth0.host_name').trim() || 'no name');
    // A megabyte a cycle would be a leak; caches and the collector's mood are not.
    expect(after.kilobytes - before.kilobytes).toBeLessThan(40_000 + cycles * 200);
  }, 900_000);
});
