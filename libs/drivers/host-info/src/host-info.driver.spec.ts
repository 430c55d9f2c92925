import { describe, expect, it } from 'vitest';
import { StateDirectory } from '#kernel';
import { CommandRunner, LxcLibrary, RoostHelper } from '#host';
import { LinuxHostInfo } from './host-info.driver.js';

const commands = new CommandRunner();
const info = new LinuxHostInfo({
  commands, lxc: new LxcLibrary(), helper: new RoostHelper(commands), state: new StateDirectory('/nowhere'), firewall: 'nftables',
});

describe('on this host', () => {
  it('adds CPUs and memory up', async () => {
    const { cpu, memory } = await info.describeResources() as { cpu: { total: number; sockets: { cores: { threads: unknown[] }[] }[] }; memory: { used: number; total: number } };

    expect(cpu.total).toBe(cpu.sockets.flatMap(({ cores }) => cores).flatMap(({ threads }) => threads).length);
    expect(memory.used).toBeGreaterThan(0);
    expect(memory.used).toBeLessThan(memory.total);
  });

  it('knows itself', async () => {
    const host = await info.describeHost();

    expect(host.kernel).toBe('Linux');
    expect(host.cpuCount).toBeGreaterThan(0);
    expect(host.idmap.length).toBeGreaterThan(1);
  });

  it('names the module it cannot load, and loads nothing by a strange name', async () => {
    await expect(info.loadKernelModules(['--show'])).rejects.toMatchObject({ kind: 'invalid' });
    await expect(info.loadKernelModules(['no_such_module_here'])).rejects.toThrow("Failed to load kernel module 'no_such_module_here'");
  });
});
