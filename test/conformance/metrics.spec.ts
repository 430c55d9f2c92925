import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { same } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';
import type { Target } from '../support/target.js';

/** What Prometheus reads, and sizes by name, on Roost and on real LXD. */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare({ bridge: true });
  for (const target of pair.both) {
    must(target, 'lxc launch bb c1 -q 2>/dev/null');
    must(target, 'lxc exec c1 -- sh -c "dd if=/dev/zero of=/root/x bs=64k count=64 conv=fsync 2>/dev/null; cat /root/x >/dev/null"');
  }
});
afterAll(() => pair.destroy());

const scrape = (target: Target, query = ''): string[] => must(target, `curl -s --unix-socket ${target.dir}/unix.socket 'http://x/1.0/metrics${query}'`).trimEnd().split('\n');
/** Ours that LXD has no value for in a container, and traffic of the disk, which depends on what lies in memory. */
const shown = (line: string): boolean => !/lxd_memory_OOM_kills_total|lxd_disk_/.test(line);

/** The lines without values, the samples under each metric's heading sorted: LXD walks the devices in Go's random order, and answers eight seconds from memory. */
const sortedWithinMetrics = (lines: string[]): string[] => {
  const metrics: string[][] = [];
  for (const line of lines) {
    if (line.startsWith('#') || !metrics.length) metrics.push([line]);
    else metrics.at(-1)!.push(line.replace(/ [^ ]+$/, ''));
  }
  return metrics.flatMap(([heading, ...samples]) => [heading!, ...samples.sort()]);
};

describe('metrics', () => {
  it('have the names, types, texts and labels of LXD, in its order', () => {
    const [ours, theirs] = pair.both.map((target) => sortedWithinMetrics(scrape(target).filter(shown)));
    expect(ours).toEqual(theirs);
    expect(ours!.filter((line) => line.startsWith('# TYPE')).length).toBeGreaterThan(28);
  });

  it('count what the container did', () => {
    for (const target of pair.both) {
      const value = (name: string): number => scrape(target).filter((line) => line.startsWith(`${name}{`)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
      expect(value('lxd_procs_total')).toBeGreaterThan(0);
      expect(value('lxd_cpu_seconds_total')).toBeGreaterThan(0);
      expect(value('lxd_memory_MemTotal_bytes')).toBeGreaterThan(1e8);
    }
  });

  it.each(['lxc query /1.0/metrics', 'lxc query /1.0/metrics?project=nope'])('%s', (line) => {
    expect(same(pair.roost, pair.lxd, `${line} >/dev/null`).code).toBeDefined();
  });
});

describe('sizes by name', () => {
  for (const size of ['c2-m4', 'c1', 'm1', 'm0.5', 'c0.5', 'c0.5-m0.25', 'c2-m4x', 'c', 'c-m', '-m1', 'm1-c1', '']) {
    it(`-t "${size}"`, () => {
      same(pair.roost, pair.lxd, `lxc init bb s1 -q -t "${size}" 2>&1 && lxc config show s1 | grep limits; lxc delete s1`, {
        // Without its list from the Internet LXD knows no other names than these and fails in its own way.
        normalise: (text) => text.replace(/.*instance type.*/gi, '<no such size>'),
      });
    });
  }

  it('are known for common clouds without the Internet', () => {
    must(pair.roost, 'lxc init bb s2 -q -t t2.micro && lxc init bb s3 -q -t aws:m5.xlarge');
    expect(must(pair.roost, 'lxc config get s2 limits.memory; lxc config get s3 limits.cpu')).toBe('1024MB\n4\n');
    must(pair.roost, 'lxc delete s2 s3');
  });
});
