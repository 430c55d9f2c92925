import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InstanceStatePut } from '#api-types';
import { unavailable } from '#kernel';
import type { Operation } from '#api-types';
import { InstanceStateChanges } from './instance-state.service.js';
import { InstancesService } from './instances.service.js';
import { anyTree, FakeMember } from './testing/fake-member.js';

let member: FakeMember;
beforeEach(async () => {
  member = await FakeMember.start();
  await member.create('c1');
  member.seen.length = 0;
});
afterEach(() => member.close());

async function change(name: string, request: InstanceStatePut): Promise<Operation> {
  const instance = await member.get(InstancesService).get('default', name, anyTree);
  return (await member.get(InstanceStateChanges).change(member.ctx(), instance, request)).wait();
}

const row = (): unknown => member.database.read.get('SELECT * FROM instances WHERE name = ?', 'c1');
const status = async (): Promise<string> => (await member.instance('c1')).status;

describe('power', () => {
  it('starts and stops without writing the replicated row', async () => {
    const before = row();
    expect(await change('c1', { action: 'start' })).toMatchObject({ status: 'Success', description: 'Starting instance', resources: { instances: ['/1.0/instances/c1'] } });

    const running = await member.instance('c1');
    expect(running).toMatchObject({ status: 'Running', config: { 'volatile.last_state.power': 'RUNNING' } });
    expect(running.config).not.toHaveProperty('volatile.apply_template');
    expect(running.last_used_at).not.toMatch(/^1970/);
    await change('c1', { action: 'stop', force: true });
    expect((await member.instance('c1')).config).toMatchObject({ 'volatile.last_state.power': 'STOPPED' });
    expect(row()).toEqual(before);
    expect(member.seen).toEqual(['instance-started /1.0/instances/c1', 'instance-stopped /1.0/instances/c1']);
    expect(member.events.at(-1)?.requestor).toMatchObject({ username: 'root' });
  });

  it.each([
    ['stop', 'The instance is already stopped'], ['restart', 'The instance is already stopped'], ['freeze', "The container isn't running"], ['unfreeze', "The container isn't running"],
  ])('fails to %s what does not run', async (action, err) => {
    expect(await change('c1', { action })).toMatchObject({ status: 'Failure', err });
  });

  it('freezes and thaws; a clean stop thaws first', async () => {
    await change('c1', { action: 'start' });
    expect(await change('c1', { action: 'unfreeze' })).toMatchObject({ err: 'The container is already running' });
    await change('c1', { action: 'freeze' });
    expect(await status()).toBe('Frozen');
    expect(await change('c1', { action: 'freeze' })).toMatchObject({ err: 'The container is already frozen' });
    expect(await change('c1', { action: 'start' })).toMatchObject({ err: 'The instance is already running' });

    expect(await change('c1', { action: 'stop', timeout: 5 })).toMatchObject({ status: 'Success' });
    expect(member.seen.map((line) => line.split(' ')[0])).toEqual(['instance-started', 'instance-paused', 'instance-shutdown']);
  });

  it('says that an instance did not stop in time', async () => {
    await change('c1', { action: 'start' });
    member.host.faults.fail('instance.stopInstance', 1, unavailable('timed out'));

    expect(await change('c1', { action: 'stop', timeout: 1 })).toMatchObject({ err: 'Failed shutting down instance, status is "Running": shutting down the container failed' });
    expect(await status()).toBe('Running');
  });

  it('begins again when the agent dies in a start or a forced stop', async () => {
    member.host.faults.fail('instance.startInstance', 1, unavailable('gone'));
    expect(await change('c1', { action: 'start' })).toMatchObject({ status: 'Success' });

    member.host.faults.fail('instance.stopInstance', 1, unavailable('gone'));
    expect(await change('c1', { action: 'stop', force: true })).toMatchObject({ status: 'Success' });
    expect(member.host.instances.instances.get('c1')?.power).toBe('Stopped');
  });

  it.each(['stop', 'restart'])('lets a forced stop win over a pending clean %s', async (action) => {
    await change('c1', { action: 'start' });
    member.host.instances.instances.get('c1')!.deafToStop = true;
    const pending = change('c1', { action, timeout: -1 });
    await sleep(20);

    expect(await change('c1', { action: 'stop', force: true })).toMatchObject({ status: 'Success' });
    const first = await pending;
    expect(await status()).toBe('Stopped');
    expect([first.status, first.err]).toEqual(action === 'stop' ? ['Success', ''] : ['Failure', 'shutting down the container failed']);
    expect(await change('c1', { action: 'start' })).toMatchObject({ status: 'Success' });
  });

  it.each(['stop', 'restart'])('lets a forced restart win over a pending clean %s, which has succeeded then too', async (action) => {
    await member.create('e1', { ephemeral: true });
    await change('e1', { action: 'start' });
    member.host.instances.instances.get('e1')!.deafToStop = true;
    const pending = change('e1', { action, timeout: -1 });
    await sleep(20);

    expect(await change('e1', { action: 'restart', force: true })).toMatchObject({ status: 'Success' });
    expect(await pending).toMatchObject({ status: 'Success', err: '' });
    // Ephemeral, and not removed by the stop that was overtaken.
    expect((await member.instance('e1')).status).toBe('Running');
  });

  it('stops and restarts by force in no time', async () => {
    for (const action of ['stop', 'restart']) {
      await change('c1', { action: 'start' });
      member.host.instances.instances.get('c1')!.deafToStop = true;
      expect(await change('c1', { action, timeout: 0 })).toMatchObject({ status: 'Success' });
    }
    expect(await status()).toBe('Running');
  });

  it('does not restart what is frozen, but by force', async () => {
    await change('c1', { action: 'start' });
    await change('c1', { action: 'freeze' });

    expect(await change('c1', { action: 'restart', timeout: 5 })).toMatchObject({ err: 'Instance is not running' });
    expect(await status()).toBe('Frozen');
    expect(await change('c1', { action: 'restart', force: true })).toMatchObject({ status: 'Success' });
    expect(await status()).toBe('Running');
  });

  it('names a start that is under way to whom it refuses, and lets others wait for it', async () => {
    const driver = member.host.instances;
    const start = driver.startInstance.bind(driver);
    const gate = Promise.withResolvers<void>();
    driver.startInstance = async (spec) => {
      await gate.promise;
      return start(spec);
    };
    const first = change('c1', { action: 'start' });
    await vi.waitFor(async () => expect((await change('c1', { action: 'stop', timeout: 5 })).err).toBe('Instance is busy running a "start" operation'));
    expect(await change('c1', { action: 'stop', force: true })).toMatchObject({ err: 'Instance is busy running a "start" operation' });
    expect(await change('c1', { action: 'restart', timeout: 5 })).toMatchObject({ err: 'Create restart operation: Instance is busy running a "start" operation' });
    const service = member.get(InstancesService);
    const instance = await service.get('default', 'c1', anyTree);
    await expect(service.delete(member.ctx(), instance)).rejects.toThrow('Instance is running');
    expect(await (await service.rename(member.ctx(), instance, { name: 'c2' }, '')).wait()).toMatchObject({ err: 'Renaming of running container not allowed' });
    const [second, frozen] = [change('c1', { action: 'start' }), change('c1', { action: 'freeze' })];
    gate.resolve();

    expect([await first, await second, await frozen].map(({ err }) => err)).toEqual(['', 'The instance is already running', '']);
    expect(await status()).toBe('Frozen');
  });

  it('refuses an update while it stops, in LXD\'s words', async () => {
    const { InstanceUpdate } = await import('./instance-update.service.js');
    await change('c1', { action: 'start' });
    member.host.instances.instances.get('c1')!.deafToStop = true;
    const pending = change('c1', { action: 'stop' });
    await sleep(20);

    await expect(member.get(InstanceUpdate).merge(member.ctx(), { project: 'default', name: 'c1', body: { config: { 'user.a': '1' } }, ifMatch: undefined, merge: true }))
      .rejects.toThrow('Failed to create instance update operation: Instance is busy running a "stop" operation');
    await change('c1', { action: 'stop', force: true });
    await pending;
  });

  it('notices when it powers itself off or reboots', async () => {
    await change('c1', { action: 'start' });
    member.host.instances.rebootFromInside('c1');
    await vi.waitFor(() => expect(member.seen).toContain('instance-restarted /1.0/instances/c1'));
    expect(await status()).toBe('Running');

    member.host.instances.stopFromInside('c1');
    await vi.waitFor(() => expect(member.seen.filter((line) => line.startsWith('instance-shutdown'))).toHaveLength(2));
    expect(await member.instance('c1')).toMatchObject({ status: 'Stopped', config: { 'volatile.last_state.power': 'STOPPED' } });
  });

  it('notices an init that is gone before its start is answered', async () => {
    const driver = member.host.instances;
    const start = driver.startInstance.bind(driver);
    driver.startInstance = async (spec) => {
      const started = await start(spec);
      driver.stopFromInside('c1');
      await sleep(5);
      return started;
    };
    await change('c1', { action: 'start' });

    await vi.waitFor(() => expect(member.seen).toEqual(['instance-started /1.0/instances/c1', 'instance-shutdown /1.0/instances/c1']));
    expect(await status()).toBe('Stopped');
  });

  it('removes an ephemeral instance when it has stopped, from outside or inside', async () => {
    for (const [name, end] of [['e1', () => change('e1', { action: 'stop', force: true })], ['e2', async () => member.host.instances.stopFromInside('e2')]] as const) {
      await member.create(name, { ephemeral: true });
      await change(name, { action: 'start' });
      await end();
      await vi.waitFor(() => expect(member.seen).toContain(`instance-deleted /1.0/instances/${name}`));
      await expect(member.instance(name)).rejects.toThrow('Instance not found');
      expect(member.host.instances.instances.has(name)).toBe(false);
    }
  });

  it('changes all at once and names those that refuse', async () => {
    await member.create('c2');
    member.host.faults.fail('instance.startInstance');
    const operation = await (await member.get(InstanceStateChanges).changeAll(member.ctx(), { action: 'start' })).wait();

    expect(operation.err).toBe('The following instances failed to update state:\n - Instance: c1: Injected failure of instance.startInstance\n');
    expect((await member.instance('c2')).status).toBe('Running');
  });

  it('refuses to delete or rename what runs', async () => {
    await change('c1', { action: 'start' });
    const service = member.get(InstancesService);
    const instance = await service.get('default', 'c1', anyTree);

    await expect(service.delete(member.ctx(), instance)).rejects.toThrow('Instance is running');
    expect((await (await service.rename(member.ctx(), instance, { name: 'c2' }, '')).wait()).err).toBe('Renaming of running container not allowed');
  });
});
