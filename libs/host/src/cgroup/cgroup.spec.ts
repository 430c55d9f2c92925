import { describe, expect, it } from 'vitest';
import { parseCpuList, parseFlatKeys } from './cgroup-files.js';
import { hierarchies, parseCgroupLayout, parseProcessCgroups } from './cgroup-layout.js';

const mixed = `31 22 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
32 31 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 31 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
35 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`;
const unified = '31 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n';

describe('parseCgroupLayout', () => {
  it('reads a mixed host', () => {
    const layout = parseCgroupLayout(mixed, () => '');

    expect(Object.fromEntries(layout.v1)).toEqual({
      cpu: '/sys/fs/cgroup/cpu,cpuacct', cpuacct: '/sys/fs/cgroup/cpu,cpuacct', memory: '/sys/fs/cgroup/memory', 'name=systemd': '/sys/fs/cgroup/systemd',
    });
    expect(layout.v2).toBe('/sys/fs/cgroup/unified');
    expect(hierarchies(layout)).toHaveLength(4);
  });

  it('reads a unified host', () => {
    const layout = parseCgroupLayout(unified, () => 'cpuset cpu io memory pids\n');

    expect(layout.v1.size).toBe(0);
    expect([...layout.v2Controllers]).toContain('memory');
  });
});

describe('parseProcessCgroups', () => {
  it('gives directories of the hierarchies that are mounted', () => {
    const text = '9:name=systemd:/a\n4:memory:/roost-1/c1/payload\n2:cpu,cpuacct:/roost-1/c1/payload\n7:hugetlb:/x\n0::/\n';

    expect(parseProcessCgroups(text, parseCgroupLayout(mixed, () => ''))).toEqual({
      'name=systemd': '/sys/fs/cgroup/systemd/a', memory: '/sys/fs/cgroup/memory/roost-1/c1/payload',
      cpu: '/sys/fs/cgroup/cpu,cpuacct/roost-1/c1/payload', cpuacct: '/sys/fs/cgroup/cpu,cpuacct/roost-1/c1/payload', '': '/sys/fs/cgroup/unified',
    });
  });
});

describe('control files', () => {
  it('reads flat keys and lists of CPUs', () => {
    expect(parseFlatKeys('usage_usec 12\nuser_usec 7')).toEqual({ usage_usec: 12, user_usec: 7 });
    expect(parseCpuList('0-2,5')).toEqual([0, 1, 2, 5]);
    expect(parseCpuList('3-1')).toBeNull();
    expect(parseCpuList('a')).toBeNull();
  });
});
