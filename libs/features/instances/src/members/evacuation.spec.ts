import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstancesPost } from '#api-types';
import { EvacuationRegistry } from '#features/cluster';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstancePower } from '../instance-power.service.js';
import { InstanceStateChanges } from '../instance-state.service.js';
import { InstancesLifecycle } from '../instances-lifecycle.service.js';
import { InstancesService } from '../instances.service.js';
import { PowerStates } from '../power-states.js';
import { FakeCluster } from '../testing/fake-cluster.js';

let cluster: FakeCluster;
let progress: string[];
beforeEach(async () => {
  cluster = await FakeCluster.start(3);
  progress = [];
});
afterEach(() => cluster.close());

const run = () => ({ mode: '', signal: new AbortController().signal, update: (metadata: Record<string, unknown>) => progress.push(String(metadata['evacuation_progress'])) });

async function make(name: string, config: InstancesPost['config'] = {}, { start = true, on = 3 } = {}): Promise<void> {
  const member = cluster.member(on);
  await member.create(name, { config });
  if (start) await member.get(InstancePower).start(member.ctx(), member.get(InstanceCatalog).get('default', name));
}

async function setState(id: number, state: string): Promise<void> {
  await cluster.member(id).transactions.run(cluster.member(id).ctx(), (tx) => tx.sql.run('UPDATE nodes SET state = ? WHERE id = ?', state, id));
  await cluster.sync();
}

/** As the cluster does it around the evacuators. */
async function evacuate(id = 3): Promise<void> {
  await setState(id, 'evacuated');
  await cluster.member(id).get(EvacuationRegistry).evacuate(cluster.member(id).ctx(), run());
  await cluster.sync();
}

async function restore(id = 3): Promise<void> {
  await cluster.member(id).get(EvacuationRegistry).restore(cluster.member(id).ctx(), run());
  await setState(id, 'created');
}

async function list(): Promise<string[]> {
  const all = await cluster.member(1).get(InstancesService).list({ project: 'default', type: null, filter: undefined });
  return all.map(({ name, status, location }) => `${name} ${status} ${location}`);
}
const config = (name: string) => cluster.member(1).get(InstanceCatalog).get('default', name).row.config;

describe('evacuating a member', () => {
  it('moves what it has to the others, running or not, and says what it does as LXD', async () => {
    await make('c1');
    await make('c2', {}, { start: false });
    cluster.member(3).seen.length = 0;
    await evacuate();

    expect(await list()).toEqual(['c1 Running m1', 'c2 Stopped m2']);
    expect(progress).toEqual([
      'Stopping "c1" in project "default"', 'Migrating "c1" in project "default" to "m1"', 'Starting "c1" in project "default"', 'Migrating "c2" in project "default" to "m2"',
    ]);
    expect([config('c1')['volatile.evacuate.origin'], config('c2')['volatile.evacuate.origin']]).toEqual(['m3', 'm3']);
    expect(cluster.member(3).seen).toContain('instance-shutdown /1.0/instances/c1');
    expect(cluster.member(3).host.instances.instances.size).toBe(0);
  });

  it('only stops what asks for that, and neither starts it again nor forgets that it ran', async () => {
    await make('c1', { 'cluster.evacuate': 'stop' });
    await make('c2', { 'cluster.evacuate': 'stop' }, { start: false });
    await evacuate();
    const member = cluster.member(3);
    await member.get(PowerStates).resync();

    expect(await list()).toEqual(['c1 Stopped m3', 'c2 Stopped m3']);
    expect(progress).toEqual(['Stopping "c1" in project "default"']);
    await member.get(InstancesLifecycle).startUp();
    expect(await list()).toEqual(['c1 Stopped m3', 'c2 Stopped m3']);
    const change = async () => member.get(InstanceStateChanges).change(member.ctx(), member.get(InstanceCatalog).get('default', 'c1'), { action: 'start' });
    await expect(change()).rejects.toMatchObject({ kind: 'forbidden', message: 'Cluster member is evacuated' });
    await (await member.get(InstanceStateChanges).changeAll(member.ctx(), { action: 'start' })).done;
    expect(await list()).toEqual(['c1 Stopped m3', 'c2 Stopped m3']);
    await restore();
    expect(await list()).toEqual(['c1 Running m3', 'c2 Stopped m3']);
  });

  it('forces what does not stop in its time', async () => {
    await make('c1', { 'boot.host_shutdown_timeout': '1' });
    cluster.member(3).host.instances.instances.get('c1')!.deafToStop = true;
    cluster.member(3).seen.length = 0;
    await evacuate();

    expect(await list()).toEqual(['c1 Running m1']);
    expect(cluster.member(3).seen).toContain('instance-stopped /1.0/instances/c1');
  });

  it('leaves instances where they are, stopped, when nobody takes them', async () => {
    await make('c1');
    for (const id of [1, 2]) await cluster.member(id).transactions.run(cluster.member(1).ctx(), (tx) => tx.sql.run(`UPDATE nodes SET config = '{"scheduler.instance":"manual"}' WHERE id = ?`, id));
    await cluster.sync();
    await evacuate();

    expect(await list()).toEqual(['c1 Stopped m3']);
    expect(config('c1')['volatile.evacuate.origin']).toBeUndefined();
    await restore();
    expect(await list()).toEqual(['c1 Running m3']);
  });

  it('moves what is to be moved alive with what runs in it, where CRIU is', async () => {
    await make('c1', { 'cluster.evacuate': 'live-migrate' });
    cluster.member(3).host.checkpoints.available = true;

    await evacuate();

    const [, status, location] = (await list())[0]!.split(' ');
    expect([status, ['m1', 'm2'].includes(location!)]).toEqual(['Running', true]);
    expect(cluster.member(location === 'm1' ? 1 : 2).host.instances.instances.get('c1')).toMatchObject({ power: 'Running', restored: true });
    expect(cluster.member(1).get(InstanceCatalog).get('default', 'c1').row.stateful).toBe(false);
  });

  it('refuses live migration of containers in LXD\'s words', async () => {
    await make('c1', { 'cluster.evacuate': 'live-migrate' });

    await expect(evacuate()).rejects.toThrow('Failed to migrate instance: Failed stopping instance "c1": Unable to perform container live migration. CRIU isn\'t installed');
    expect(await list()).toEqual(['c1 Running m3']);
  });
});

describe('restoring a member', () => {
  it('brings back what was moved, running if it runs now', async () => {
    await make('c1');
    await make('c2');
    await make('c3', {}, { start: false });
    await evacuate();
    const [holder, c2] = [cluster.member(2), cluster.member(2).get(InstanceCatalog).get('default', 'c2')];
    expect(c2.row.location).toBe('m2');
    await holder.get(InstancePower).stop(holder.ctx(), c2, { force: true, timeoutMs: 0 });
    progress.length = 0;
    await restore();

    expect(await list()).toEqual(['c1 Running m3', 'c2 Stopped m3', 'c3 Stopped m3']);
    expect(progress).toEqual([
      'Migrating "c1" in project "default" from "m1"', 'Stopping "c1" in project "default"', 'Starting "c1" in project "default"',
      'Migrating "c2" in project "default" from "m2"', 'Migrating "c3" in project "default" from "m1"',
    ]);
    for (const name of ['c1', 'c2', 'c3']) expect(config(name)).not.toHaveProperty('volatile.evacuate.origin');
    expect(cluster.members.map(({ host }) => host.instances.instances.size)).toEqual([0, 0, 3]);
  });

  it('starts what an interrupted evacuation had stopped or moved and not started', async () => {
    await make('c1');
    await make('c2');
    // Killed after the move of c1, before its start; c2 was not reached.
    cluster.member(1).host.faults.fail('instance.startInstance');
    await expect(evacuate()).rejects.toThrow('Injected failure');
    expect(await list()).toEqual(['c1 Stopped m1', 'c2 Running m3']);
    await restore();

    expect(await list()).toEqual(['c1 Running m3', 'c2 Running m3']);
  });

  it('can be asked again after it failed half way', async () => {
    await make('c1');
    await evacuate();
    cluster.member(1).host.faults.fail('transfer.sendVolume');
    await expect(restore()).rejects.toThrow('Injected failure');
    await cluster.sync();
    expect(await list()).toEqual(['c1 Stopped m1']);
    await restore();

    expect(await list()).toEqual(['c1 Running m3']);
    cluster.member(3).host.faults.fail('instance.startInstance');
    await evacuate();
    await expect(restore()).rejects.toThrow('Injected failure');
    expect(await list()).toEqual(['c1 Stopped m3']);
    await restore();
    expect(await list()).toEqual(['c1 Running m3']);
    expect(config('c1')).not.toHaveProperty('volatile.evacuate.origin');
  });
});
