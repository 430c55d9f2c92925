import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InstanceMetrics } from './instance-metrics.service.js';
import { InstanceStateChanges } from './instance-state.service.js';
import { InstancesService } from './instances.service.js';
import { anyTree, FakeMember } from './testing/fake-member.js';

let member: FakeMember;
beforeEach(async () => {
  member = await FakeMember.start();
  await member.create('c1');
  const instance = await member.get(InstancesService).get('default', 'c1', anyTree);
  await (await member.get(InstanceStateChanges).change(member.ctx(), instance, { action: 'start' })).wait();
});
afterEach(async () => {
  vi.useRealTimers();
  await member.close();
});

const looks = (): number => member.host.faults.callsOf('instance.describeUsage');
const scrape = async (): Promise<string> => String(await member.get(InstanceMetrics).text(null));

/** Lets time pass in steps in which work that a timer has begun can end. */
const pass = async (seconds: number): Promise<void> => {
  for (let second = 0; second < seconds; second += 1) {
    vi.advanceTimersByTime(1000);
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
};

describe('the host', () => {
  beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }); });

  it('is looked at for the first scrape, then in the background until a second should have come', async () => {
    expect(await scrape()).toContain('lxd_procs_total{name="c1"');
    expect(await scrape()).toContain('lxd_procs_total{name="c1"');
    expect(looks()).toBe(1);
    await pass(20);
    const asked = looks();
    expect(asked).toBeGreaterThan(1);
    await scrape();
    expect(looks()).toBe(asked);
    await pass(200);
    const idle = looks();
    await pass(200);
    expect(looks()).toBe(idle);
  });

  it.each([15, 30, 60, 100])('is looked at once for each scrape where one comes every %d s, shortly before it', async (seconds) => {
    await scrape();
    await pass(seconds);
    await scrape();
    const before = looks();
    for (let round = 0; round < 5; round += 1) {
      await pass(seconds);
      await scrape();
    }
    expect(looks() - before).toBe(5);
  });

  it('is looked at every eight seconds while scrapes come faster', async () => {
    for (let second = 0; second < 60; second += 1) {
      await scrape();
      await pass(1);
    }
    expect(looks()).toBeGreaterThanOrEqual(7);
    expect(looks()).toBeLessThanOrEqual(9);
  });
});

it('tells of one project only where one is asked for', async () => {
  expect(String(await member.get(InstanceMetrics).text('default'))).toContain('name="c1"');
  expect(String(await member.get(InstanceMetrics).text('other'))).toBe('# EOF\n');
});
