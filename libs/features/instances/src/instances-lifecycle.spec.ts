import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstanceStatePut } from '#api-types';
import { InstancesLifecycle } from './instances-lifecycle.service.js';
import { InstanceStateChanges } from './instance-state.service.js';
import { InstancesService } from './instances.service.js';
import { InstancesReconciler } from './reconcile/instances.reconciler.js';
import { anyTree, FakeHost, FakeMember, settled } from './testing/fake-member.js';

let host: FakeHost;
let member: FakeMember;
beforeEach(async () => {
  host = new FakeHost();
  member = await FakeMember.start(host);
});
afterEach(async () => {
  await member.stop();
  host.remove();
});

async function change(name: string, request: InstanceStatePut): Promise<void> {
  await settled(await member.get(InstanceStateChanges).change(member.ctx(), await member.get(InstancesService).get('default', name, anyTree), request));
}

async function restartDaemon(): Promise<void> {
  await member.stop();
  member = await FakeMember.start(host);
}

const statuses = async (): Promise<Record<string, string>> =>
  Object.fromEntries((await member.get(InstancesService).list({ project: null, type: null, filter: undefined })).map(({ name, status }) => [name, status]));

describe('start of the daemon', () => {
  it('adopts what runs and disturbs nothing', async () => {
    await member.create('c1');
    await change('c1', { action: 'start' });
    const { pid } = host.instances.instances.get('c1')!;
    await restartDaemon();

    expect(await statuses()).toEqual({ c1: 'Running' });
    expect(host.instances.instances.get('c1')?.pid).toBe(pid);
  });

  it('starts what ran when the host went down, and what asks for it, by priority', async () => {
    for (const name of ['ran', 'stopped', 'never']) await member.create(name, name === 'never' ? { config: { 'boot.autostart': 'false' } } : {});
    await member.create('first', { config: { 'boot.autostart': 'true', 'boot.autostart.priority': '9' } });
    for (const name of ['ran', 'never']) await change(name, { action: 'start' });
    await member.stop();
    host.instances.powerLoss();
    member = await FakeMember.start(host);

    expect(await statuses()).toEqual({ first: 'Running', never: 'Stopped', ran: 'Running', stopped: 'Stopped' });
    const pid = (name: string): number => host.instances.instances.get(name)!.pid;
    expect(pid('first')).toBeLessThan(pid('ran'));
  });

  it('goes on when one of them does not start', async () => {
    for (const name of ['a', 'b']) await member.create(name, { config: { 'boot.autostart': 'true' } });
    await member.stop();
    host.faults.fail('instance.startInstance');
    member = await FakeMember.start(host);

    expect(await statuses()).toEqual({ a: 'Stopped', b: 'Running' });
  });

  it('removes traces without a row, but never what runs', async () => {
    await member.create('c1');
    const { spec } = host.instances.instances.get('c1')!;
    for (const [id, name] of [[901, 'ghost'], [902, 'alive']] as const) await host.instances.createInstance({ ...spec, id, name, projectName: name });
    await host.instances.startInstance({ ...spec, id: 902, name: 'alive', projectName: 'alive' });
    await member.get(InstancesReconciler).run(new AbortController().signal);

    expect([...host.instances.instances.keys()].sort()).toEqual(['alive', 'c1']);
  });

  it('makes known again what the host has forgotten', async () => {
    await member.create('c1');
    host.instances.instances.clear();
    await restartDaemon();
    await change('c1', { action: 'start' });

    expect(await statuses()).toEqual({ c1: 'Running' });
  });

  it('removes an instance whose creation nobody speaks of any more', async () => {
    await member.create('c1');
    await member.transactions.run(member.ctx(), (tx) => tx.sql.run("UPDATE instances SET state = 'Creating'"));
    await restartDaemon();

    expect(await statuses()).toEqual({});
    expect(host.instances.instances.size).toBe(0);
    expect(member.database.read.all('SELECT name FROM storage_volumes')).toEqual([]);
  });
});

describe('shutdown of the host', () => {
  it('stops everything, the highest priority first, and starts it again with the next daemon', async () => {
    await member.create('early', { config: { 'boot.stop.priority': '5' } });
    await member.create('late');
    await member.create('off');
    for (const name of ['early', 'late']) await change(name, { action: 'start' });
    const order: string[] = [];
    const stop = host.instances.stopInstance.bind(host.instances);
    host.instances.stopInstance = async (request) => { order.push(request.projectName); await stop(request); };
    await member.get(InstancesLifecycle).shutdownAll(0);

    expect(order).toEqual(['early', 'late']);
    expect([...host.instances.instances.values()].every(({ power }) => power === 'Stopped')).toBe(true);
    await restartDaemon();
    expect(await statuses()).toEqual({ early: 'Running', late: 'Running', off: 'Stopped' });
  });

  it('forces what does not stop in its time, and keeps ephemeral instances for the next start', async () => {
    await member.create('deaf', { ephemeral: true, config: { 'boot.host_shutdown_timeout': '1' } });
    await change('deaf', { action: 'start' });
    host.instances.instances.get('deaf')!.deafToStop = true;
    await member.get(InstancesLifecycle).shutdownAll(100);

    expect(host.instances.instances.get('deaf')?.power).toBe('Stopped');
    await restartDaemon();
    expect(await statuses()).toEqual({ deaf: 'Running' });
  });
});
