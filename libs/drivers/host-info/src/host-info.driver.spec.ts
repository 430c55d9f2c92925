import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { SilentLogger, StateDirectory } from '#kernel';
import { CommandFailedError, CommandNotFoundError, CommandRunner } from '#host';
import { LinuxHostInfo } from './host-info.driver.js';

const root = mkdtempSync(join(tmpdir(), 'host-info-'));
const command = new CommandRunner();
const run = vi.spyOn(command, 'run');
const make = (): LinuxHostInfo => new LinuxHostInfo({ state: new StateDirectory(root), command, logger: new SilentLogger(), firewall: 'nftables' });
afterAll(() => rmdirSync(root));

describe('on this host', () => {
  it('adds CPUs and memory up', async () => {
    const { cpu, memory } = await make().describeResources() as { cpu: { total: number; sockets: { cores: { threads: unknown[] }[] }[] }; memory: { used: number; total: number } };

    expect(cpu.total).toBe(cpu.sockets.flatMap(({ cores }) => cores).flatMap(({ threads }) => threads).length);
    expect(memory.used).toBeGreaterThan(0);
    expect(memory.used).toBeLessThan(memory.total);
  });

  it('knows itself, starting no program and leaving no file', async () => {
    const host = await make().describeHost();

    expect(host.kernel).toBe('Linux');
    expect(host.cpuCount).toBeGreaterThan(0);
    expect(host.memoryBytes).toBeGreaterThan(0);
    expect(host.idmap).toHaveLength(2);
    expect(Object.keys(host.kernelFeatures)).toEqual([
      'idmapped_mounts', 'netnsid_getifaddrs', 'seccomp_listener', 'seccomp_listener_continue', 'shiftfs', 'uevent_injection', 'unpriv_fscaps',
    ]);
    expect(run).not.toHaveBeenCalled();
    expect(readdirSync(root)).toEqual([]);
  });
});

describe('loadKernelModules', () => {
  it('loads nothing by a strange name', async () => {
    await expect(make().loadKernelModules(['--show'])).rejects.toMatchObject({ kind: 'invalid' });
    await expect(make().loadKernelModules(['../etc'])).rejects.toMatchObject({ kind: 'invalid' });
    expect(run).not.toHaveBeenCalled();
  });

  it("says in LXD's words what modprobe said", async () => {
    const argv = ['modprobe', '-b', 'nosuchmod'];
    run.mockRejectedValueOnce(new CommandFailedError(argv, 1, null, 'modprobe: FATAL: Module nosuchmod not found in directory /lib/modules/6.18'));
    await expect(make().loadKernelModules([' nosuchmod'])).rejects.toMatchObject({
      kind: 'invalid',
      message: "Failed to load kernel module 'nosuchmod': Failed to run: modprobe -b nosuchmod: exit status 1 (modprobe: FATAL: Module nosuchmod not found in directory /lib/modules/6.18)",
    });

    run.mockRejectedValueOnce(new CommandNotFoundError(argv));
    await expect(make().loadKernelModules(['nosuchmod'])).rejects.toThrow(
      `Failed to load kernel module 'nosuchmod': Failed to run: modprobe -b nosuchmod: exec: "modprobe": executable file not found in $PATH`);
  });

  it('does not load what is there', async () => {
    run.mockClear();
    const [present = 'kernel'] = readdirSync('/sys/module');
    await make().loadKernelModules([present]);
    expect(run).not.toHaveBeenCalled();
  });
});
