import { describe, expect, it } from 'vitest';
import { cgroupLimits, type LimitHost } from './cgroup-limits.rules.js';

const gib = 2 ** 30;
const v1: LimitHost = { memoryBytes: 16 * gib, v1: new Set(['memory', 'cpu', 'pids', 'hugetlb', 'blkio']), v2Controllers: new Set(), swapAccounting: true, diskWeight: true };
const v2: LimitHost = { memoryBytes: 16 * gib, v1: new Set(), v2Controllers: new Set(['memory', 'cpu', 'pids', 'io']), swapAccounting: true, diskWeight: true };

const values = (config: Record<string, string>, host: LimitHost): Record<string, string> =>
  Object.fromEntries(cgroupLimits(config, host).filter(({ unset }) => !unset).map(({ file, value }) => [file, value]));

describe('cgroupLimits', () => {
  it('refuses to weigh block I/O where the kernel does not', () => {
    expect(() => cgroupLimits({ 'limits.disk.priority': '3' }, { ...v1, diskWeight: false })).toThrow('blkio.weight cgroup controller is missing');
    expect(cgroupLimits({}, { ...v1, diskWeight: false }).map(({ file }) => file)).not.toContain('blkio.weight');
    expect(values({ 'limits.disk.priority': '3' }, v2)).toEqual({ 'io.weight': '300' });
  });

  it('limits nothing without keys, but names every file so that a limit can be taken away', () => {
    expect(values({}, v1)).toEqual({});
    expect(values({}, v2)).toEqual({});
    expect(cgroupLimits({}, v1).map(({ file }) => file)).toContain('memory.limit_in_bytes');
  });

  // Values as LXD 5.0.2 writes them for the same keys.
  it.each<[Record<string, string>, Record<string, string>]>([
    [{ 'limits.memory': '100MB' }, { 'memory.limit_in_bytes': '100000000', 'memory.memsw.limit_in_bytes': '100000000', 'memory.soft_limit_in_bytes': '90000000' }],
    [{ 'limits.memory': '100MB', 'limits.memory.enforce': 'soft', 'limits.memory.swap': 'false' }, { 'memory.soft_limit_in_bytes': '100000000', 'memory.swappiness': '0' }],
    [{ 'limits.memory': '50%' }, { 'memory.limit_in_bytes': `${8 * gib}`, 'memory.memsw.limit_in_bytes': `${8 * gib}`, 'memory.soft_limit_in_bytes': `${Math.floor(8 * gib * 0.9)}` }],
    [{ 'limits.memory.swap.priority': '3' }, { 'memory.swappiness': '67' }],
    [{ 'limits.memory.swap.priority': '10' }, { 'memory.swappiness': '60' }],
    [{ 'limits.cpu.allowance': '25ms/100ms' }, { 'cpu.cfs_quota_us': '25000', 'cpu.cfs_period_us': '100000' }],
    [{ 'limits.cpu.allowance': '20%' }, { 'cpu.shares': '204' }],
    [{ 'limits.cpu.allowance': '20%', 'limits.cpu.priority': '3' }, { 'cpu.shares': '197' }],
    [{ 'limits.processes': '50' }, { 'pids.max': '50' }],
    [{ 'limits.disk.priority': '7' }, { 'blkio.weight': '700' }],
    [{ 'limits.disk.priority': '0' }, { 'blkio.weight': '10' }],
    [{ 'limits.hugepages.2MB': '4MB' }, { 'hugetlb.2MB.limit_in_bytes': '4000000' }],
  ])('writes %j on v1', (config, expected) => {
    expect(values(config, v1)).toEqual(expected);
  });

  it.each<[Record<string, string>, Record<string, string>]>([
    [{ 'limits.memory': '1GiB' }, { 'memory.max': `${gib}`, 'memory.swap.max': `${gib}` }],
    [{ 'limits.memory': '1GiB', 'limits.memory.swap': 'false' }, { 'memory.max': `${gib}`, 'memory.swap.max': '0' }],
    [{ 'limits.memory': '1GiB', 'limits.memory.enforce': 'soft' }, { 'memory.high': `${gib}` }],
    [{ 'limits.cpu.allowance': '25ms/100ms' }, { 'cpu.max': '25000 100000' }],
    [{ 'limits.cpu.allowance': '20%', 'limits.cpu.priority': '3' }, { 'cpu.weight': '13' }],
    [{ 'limits.processes': '50' }, { 'pids.max': '50' }],
  ])('writes %j on v2', (config, expected) => {
    expect(values(config, v2)).toEqual(expected);
  });

  it('refuses what it cannot read', () => {
    expect(() => cgroupLimits({ 'limits.cpu.allowance': '5ms' }, v1)).toThrow('Invalid allowance: 5ms');
    expect(() => cgroupLimits({ 'limits.processes': 'abc' }, v1)).toThrow('limits.processes');
  });
});
