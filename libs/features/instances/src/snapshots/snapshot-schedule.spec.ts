import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Clock, SilentLogger } from '#kernel';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstancePower } from '../instance-power.service.js';
import { PowerStates } from '../power-states.js';
import { SnapshotScheduleReconciler } from '../reconcile/snapshot-schedule.reconciler.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { FakeMember } from '../testing/fake-member.js';
import { SnapshotRequests } from './snapshot-requests.service.js';

class SetClock extends Clock {
  at = new Date('2026-03-01T10:29:50');

  override now(): Date { return this.at; }
  override monotonicMs(): number { return this.at.getTime(); }
}

function reconcilerOf(member: FakeMember, clock: Clock): SnapshotScheduleReconciler {
  return new SnapshotScheduleReconciler(member.get(InstanceCatalog), member.get(InstanceSnapshotRepository), member.get(SnapshotRequests), member.get(PowerStates), clock, new SilentLogger());
}

describe('scheduled snapshots', () => {
  let member: FakeMember;
  let clock: SetClock;
  let reconciler: SnapshotScheduleReconciler;
  beforeEach(async () => {
    member = await FakeMember.start();
    clock = new SetClock();
    reconciler = reconcilerOf(member, clock);
  });
  afterEach(() => member.close());

  const find = (name: string) => member.get(InstanceCatalog).get('default', name);
  const names = (name: string) => member.get(InstanceSnapshotRepository).listByInstance(find(name).row.id).map((row) => row.name);
  const tick = async (time: string): Promise<void> => {
    clock.at = new Date(`2026-03-01T${time}`);
    await reconciler.run(new AbortController().signal);
  };

  it('are taken once in their minute, of what runs, by pattern and expiry', async () => {
    const config = { 'snapshots.schedule': '30 10 * * *', 'snapshots.pattern': 'auto%d', 'snapshots.expiry': '1d' };
    await member.create('runs', { config });
    await member.create('stopped', { config });
    await member.create('always', { config: { ...config, 'snapshots.schedule.stopped': 'true' } });
    await member.create('never', { config: { 'snapshots.schedule': '@never' } });
    await member.get(InstancePower).start(member.ctx(), find('runs'));

    for (const time of ['10:29:50', '10:30:05', '10:30:10', '10:31:00']) await tick(time);

    expect(['runs', 'stopped', 'always', 'never'].map(names)).toEqual([['auto0'], [], ['auto0'], []]);
    const [row] = member.get(InstanceSnapshotRepository).listByInstance(find('runs').row.id);
    expect(Date.parse(row!.expiresAt!) - Date.parse(row!.createdAt)).toBeGreaterThan(86_000_000);
  });

  it('are made up for after a pause, but not after a long one', async () => {
    await member.create('c1', { config: { 'snapshots.schedule': '* * * * *', 'snapshots.schedule.stopped': 'true' } });

    await tick('10:00:00');
    await tick('10:03:30');
    expect(names('c1')).toHaveLength(4);
    await tick('12:00:00');
    expect(names('c1')).toHaveLength(9);
  });

  it('are not taken twice by a daemon that was started again within the minute', async () => {
    await member.create('c1', { config: { 'snapshots.schedule': '* * * * *', 'snapshots.schedule.stopped': 'true' } });
    clock.at = new Date();
    await reconciler.run(new AbortController().signal);
    const [row] = member.get(InstanceSnapshotRepository).listByInstance(find('c1').row.id);
    clock.at = new Date(row!.createdAt);

    await reconcilerOf(member, clock).run(new AbortController().signal);

    expect(names('c1')).toEqual(['snap0']);
  });

  it('go on with the others where one fails', async () => {
    const config = { 'snapshots.schedule': '30 10 * * *', 'snapshots.schedule.stopped': 'true' };
    await member.create('bad', { config: { ...config, 'snapshots.pattern': 'a b' } });
    await member.create('good', { config });
    await tick('10:30:00');

    expect(['bad', 'good'].map(names)).toEqual([[], ['snap0']]);
  });

  it('are taken before each start when @startup says so', async () => {
    await member.create('c1', { config: { 'snapshots.schedule': '@never' } });
    await member.create('c2', { config: { 'snapshots.schedule': '@daily, @startup' } });
    const power = member.get(InstancePower);

    for (const name of ['c1', 'c2']) await power.start(member.ctx(), find(name));
    await power.restart(member.ctx(), find('c2'), { force: true, timeoutMs: 0 });

    expect(['c1', 'c2'].map(names)).toEqual([[], ['snap0', 'snap1']]);
  });
});

it('takes snapshots of its own instances alone, on each member of a cluster', async () => {
  const cluster = await FakeCluster.start(2);
  try {
    const clock = new SetClock();
    for (const id of [1, 2]) await cluster.member(id).create(`c${id}`, { config: { 'snapshots.schedule': '29 10 * * *', 'snapshots.schedule.stopped': 'true' } });
    await cluster.sync();

    await reconcilerOf(cluster.member(1), clock).run(new AbortController().signal);
    await cluster.sync();

    const member = cluster.member(2);
    expect(['c1', 'c2'].map((name) => member.get(InstanceSnapshotRepository).listByInstance(member.get(InstanceCatalog).get('default', name).row.id).length)).toEqual([1, 0]);
  } finally {
    await cluster.close();
  }
});
