import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstancePut } from '#api-types';
import { etagOf } from '#platform/http';
import { ProfilesService } from '#features/profiles';
import { InstanceStateChanges } from './instance-state.service.js';
import { InstanceUpdate } from './instance-update.service.js';
import { InstancesService } from './instances.service.js';
import { anyTree, FakeMember } from './testing/fake-member.js';

let member: FakeMember;
beforeEach(async () => {
  member = await FakeMember.start();
  await member.create('c1', { description: 'mine', config: { 'user.a': '1' } });
  member.seen.length = 0;
});
afterEach(() => member.close());

const patch = (body: InstancePut, ifMatch?: string) => member.get(InstanceUpdate).merge(member.ctx(), { project: 'default', name: 'c1', body, ifMatch, merge: true });
const put = async (body: InstancePut, ifMatch?: string) =>
  (await member.get(InstanceUpdate).replace(member.ctx(), { project: 'default', name: 'c1', body, ifMatch, merge: false })).wait();
const instance = () => member.get(InstancesService).get('default', 'c1', anyTree);

async function start(): Promise<void> {
  await (await member.get(InstanceStateChanges).change(member.ctx(), await instance(), { action: 'start' })).wait();
}

describe('PATCH', () => {
  it('merges keys and keeps what is not named', async () => {
    await patch({ config: { 'user.b': '2', 'user.a': '' } });

    const { config, description, profiles } = await member.instance('c1');
    expect(config).toMatchObject({ 'user.b': '2' });
    expect(config).not.toHaveProperty('user.a');
    expect({ description, profiles }).toEqual({ description: 'mine', profiles: ['default'] });
    expect(member.seen).toEqual(['instance-updated /1.0/instances/c1']);
  });

  it('writes nothing for a stopped instance but its row', async () => {
    const calls = member.host.faults.callsOf('instance.updateInstance');
    await patch({ config: { 'user.b': '2' } });

    expect(member.host.faults.callsOf('instance.updateInstance')).toBe(calls);
  });

  it.each([
    [{ config: { foo: '1' } }, 'Invalid config: Unknown configuration key: foo'], [{ profiles: ['no'] }, 'Profile not found'],
    [{ devices: { root: { type: 'none' } } }, 'Invalid expanded devices: Failed detecting root disk device: No root device could be found'],
    [{ config: { 'raw.idmap': 'zz' } }, 'Failed to get ID map: Invalid ID map line "zz"'], [{ config: { 'volatile.idmap.base': '' } }, "Volatile idmap keys can't be deleted by the user"],
  ])('refuses %j', async (body, message) => {
    await expect(patch(body)).rejects.toThrow(message);
    expect(member.seen).toEqual([]);
  });

  it('compares the ETag inside the transaction', async () => {
    const etag = etagOf(member.get(InstancesService).etag(await instance()));
    await patch({ config: { 'user.b': '2' } }, `"${etag}"`);

    await expect(patch({ config: { 'user.b': '3' } }, `"${etag}"`)).rejects.toThrow(/^ETag doesn't match: [0-9a-f]{64} vs /);
  });

  it('loses none of many at once', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, k) => patch({ config: { [`user.k${k}`]: 'x' } })));

    expect(Object.keys((await member.instance('c1')).config).filter((key) => key.startsWith('user.k'))).toHaveLength(20);
  });

  it('reaches what runs, and takes the row back when the host refuses', async () => {
    await start();
    await patch({ config: { 'limits.processes': '5' } });
    expect(member.host.instances.instances.get('c1')?.spec.config['limits.processes']).toBe('5');

    member.host.faults.fail('instance.updateInstance');
    await expect(patch({ config: { 'limits.processes': '6' } })).rejects.toThrow('Injected failure of instance.updateInstance');
    expect((await member.instance('c1')).config['limits.processes']).toBe('5');
    expect(member.host.instances.instances.get('c1')?.spec.config['limits.processes']).toBe('5');
  });
});

describe('PUT', () => {
  it('replaces, keeping the keys of the id map', async () => {
    const before = await member.instance('c1');
    const kept = Object.fromEntries(Object.entries(before.config).filter(([key]) => key.startsWith('volatile.')));
    expect(await put({ config: { ...kept, 'user.z': '1' }, profiles: ['default'], description: 'new' })).toMatchObject({ status: 'Success', description: 'Updating instance' });

    const after = await member.instance('c1');
    expect(after.config).toEqual({ 'user.z': '1', ...kept });
    expect(after.description).toBe('new');
  });

  it('fails as an operation for what is wrong, at once for a wrong ETag or profile', async () => {
    expect(await put({ config: {}, profiles: ['default'] })).toMatchObject({ status: 'Failure', err: "Volatile idmap keys can't be deleted by the user" });
    expect(await put({ restore: 's0' })).toMatchObject({ description: 'Restoring snapshot', err: 'Snapshot c1/s0 does not exist' });
    await expect(put({}, 'foo')).rejects.toThrow("ETag doesn't match");
    await expect(put({ profiles: ['no'] })).rejects.toThrow('Profile not found');
  });
});

describe('a changed profile', () => {
  const change = (devices: Record<string, Record<string, string>>, config: Record<string, string> = {}) =>
    member.get(ProfilesService).update(member.ctx(), 'default', { config, devices, description: '' }, { patch: false, ifMatch: undefined });
  const root = { root: { path: '/', pool: 'default', type: 'disk' } };

  it('reaches the instances that use it', async () => {
    await start();
    await change(root, { 'limits.processes': '7' });

    expect((await member.instance('c1')).expanded_config['limits.processes']).toBe('7');
    expect(member.host.instances.instances.get('c1')?.spec.config['limits.processes']).toBe('7');
  });

  it('gives new NICs an address, isolated instances a range', async () => {
    await change({ ...root, eth0: { type: 'nic', nictype: 'p2p' } }, { 'security.idmap.isolated': 'true' });

    const { config } = await member.instance('c1');
    expect(config['volatile.eth0.hwaddr']).toMatch(/^00:16:3e:/);
    expect(config['volatile.idmap.base']).toBe('1065536');
  });

  it('cannot move root disks, and names instances that refuse', async () => {
    await expect(change({})).rejects.toThrow("At least one instance relies on this profile's root disk device");
    await start();
    member.host.faults.fail('instance.updateInstance');
    await expect(change(root, { 'limits.processes': '7' })).rejects.toThrow(' - Project: default, Instance: c1: Injected failure');
  });
});
