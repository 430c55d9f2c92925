import { afterEach, beforeEach, expect, it, vi } from 'vitest';
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

it('looks at the host for the first scrape only, then by itself, and no longer than somebody asks', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  expect(await scrape()).toContain('lxd_procs_total{name="c1"');
  expect(await scrape()).toContain('lxd_procs_total{name="c1"');
  const first = looks();
  vi.advanceTimersByTime(20_000);
  await vi.waitFor(() => expect(looks()).toBeGreaterThan(first));
  const asked = looks();
  await scrape();
  expect(looks()).toBe(asked);
  vi.advanceTimersByTime(200_000);
  await new Promise((resolve) => setImmediate(resolve));
  const idle = looks();
  vi.advanceTimersByTime(100_000);
  expect(looks()).toBe(idle);
});

it('tells of one project only where one is asked for', async () => {
  expect(String(await member.get(InstanceMetrics).text('default'))).toContain('name="c1"');
  expect(String(await member.get(InstanceMetrics).text('other'))).toBe('# EOF\n');
});
