import type { WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InstanceSource } from '#api-types';
import { ApiClient } from '#client';
import { internal } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { InstancePlacement } from '../members/instance-placement.service.js';
import { InstanceCreation } from '../instance-creation.service.js';
import { InstancePower } from '../instance-power.service.js';
import { InstanceLeaving } from '../moves/instance-leaving.js';
import { InstanceSnapshots } from '../snapshots/instance-snapshots.service.js';
import { SnapshotRequests } from '../snapshots/snapshot-requests.service.js';
import { FakeCluster } from '../testing/fake-cluster.js';
import { FakeMember, settled } from '../testing/fake-member.js';
import { InstanceDepartures, type DepartureRequest } from './instance-departures.service.js';

/** Both ends on one member, and a client between them as with `--mode=relay`. */
describe('an instance from another server', () => {
  let member: FakeMember;
  let sockets: WebSocket[];
  beforeEach(async () => {
    sockets = [];
    member = await FakeMember.start();
    await member.listen();
    await member.create('c1', { config: { 'user.mark': 'one' } });
    volume('c1')!.content = 'first';
    await snapshot('s0');
    volume('c1')!.content = 'second';
    member.seen.length = 0;
  });
  afterEach(async () => {
    for (const socket of sockets) socket.terminate();
    await member.close();
  });

  const volume = (name: string) => member.host.storage.pools.get('default')?.volumes.get(`container/${name}`);
  const find = (name: string) => member.get(InstanceCatalog).find('default', name);
  const snapshot = async (name: string) => settled(await member.get(SnapshotRequests).create(member.ctx(), find('c1')!, { name }));
  const depart = (request: DepartureRequest = {}, of: string | null = null): Promise<OperationHandle> =>
    member.get(InstanceDepartures).send(member.ctx(), find('c1')!, of === null ? null : member.get(InstanceSnapshots).get(find('c1')!, of), request);
  const arrive = (name: string, source: InstanceSource = {}): Promise<OperationHandle> =>
    member.get(InstanceCreation).create(member.ctx(), { name, architecture: 'x86_64', config: { 'user.mark': 'two' }, source: { type: 'migration', mode: 'push', ...source } }, null, null);

  async function connect({ id, api }: OperationHandle, name: string): Promise<{ socket: WebSocket; early: [Buffer, boolean][] }> {
    const client = new ApiClient({ url: 'http://unix.socket', socketPath: member.host.state.socket }, { userAgent: 'spec' });
    const early: [Buffer, boolean][] = [];
    const secret = (api().metadata as Record<string, string>)[name]!;
    const socket = await client.webSocket(`/1.0/operations/${id}/websocket?secret=${secret}`, (opening) => {
      opening.on('error', () => {});
      opening.on('message', (data: Buffer, binary: boolean) => early.push([data, binary]));
    });
    sockets.push(socket);
    return { socket, early };
  }

  async function relay(from: OperationHandle, to: OperationHandle): Promise<void> {
    for (const name of ['control', 'fs']) {
      const [a, b] = [await connect({ ...from, id: from.id, api: () => from.api() }, name), await connect({ ...to, id: to.id, api: () => to.api() }, name)];
      for (const [one, other] of [[a, b], [b, a]] as const) {
        one.socket.removeAllListeners('message');
        for (const [data, binary] of one.early) other.socket.send(data, { binary });
        one.socket.on('message', (data: Buffer, binary: boolean) => other.socket.send(data, { binary }));
        one.socket.once('close', () => other.socket.close());
      }
    }
  }

  async function both(from: OperationHandle, to: OperationHandle): Promise<[string, string]> {
    await relay(from, to);
    const [sent, made] = await Promise.all([from.wait(), to.wait()]);
    return [sent.err, made.err];
  }

  it('has files and snapshots, and the configuration that was asked for', async () => {
    const errors = await both(await depart(), await arrive('c2'));

    expect(errors).toEqual(['', '']);
    expect([volume('c2')?.content, [...volume('c2')!.snapshots]]).toEqual(['second', [['s0', 'first']]]);
    expect(find('c2')!.row).toMatchObject({ state: 'Created', config: { 'user.mark': 'two', 'volatile.apply_template': 'copy' } });
    expect(member.get(InstanceSnapshots).list(find('c2')!).map(({ name, config }) => [name, config['user.mark']])).toEqual([['s0', 'one']]);
  });

  it('is alone where that was asked of either side, and a snapshot where one was sent', async () => {
    await both(await depart({ instance_only: true }), await arrive('c2'));
    await both(await depart(), await arrive('c3', { instance_only: true }));
    await both(await depart({}, 's0'), await arrive('c4'));

    expect(['c2', 'c3', 'c4'].map((name) => [volume(name)?.content, volume(name)?.snapshots.size])).toEqual([['second', 0], ['second', 0], ['first', 0]]);
  });

  it('becomes what its source is now when it is refreshed', async () => {
    await both(await depart(), await arrive('c2'));
    await settled(await member.get(SnapshotRequests).delete(member.ctx(), find('c1')!, member.get(InstanceSnapshots).get(find('c1')!, 's0')));
    await snapshot('s1');
    volume('c1')!.content = 'third';

    const errors = await both(await depart(), await arrive('c2', { refresh: true }));

    expect(errors).toEqual(['', '']);
    expect([volume('c2')?.content, [...volume('c2')!.snapshots], volume('c2')!.formers.size]).toEqual(['third', [['s1', 'second']], 0]);
    expect(member.get(InstanceSnapshots).list(find('c2')!).map(({ name }) => name)).toEqual(['s1']);
  });

  it.each(['migration.receivePieces', 'migration.openPiece', 'migration.received'])('is not there when %s fails, and its source hears why', async (point) => {
    const [from, to] = [await depart(), await arrive('c2')];
    member.host.faults.fail(point, 1, internal('No space left on device'));

    const errors = await both(from, to);

    expect(errors[1]).toContain('No space left on device');
    expect(errors[0]).not.toBe('');
    expect([find('c2'), volume('c2'), volume('c1')?.content]).toEqual([undefined, undefined, 'second']);
  });

  it('stays as it was when a refresh fails', async () => {
    await both(await depart(), await arrive('c2'));
    await snapshot('s1');
    volume('c1')!.content = 'third';
    const [from, to] = [await depart(), await arrive('c2', { refresh: true })];
    member.host.faults.fail('migration.received', 1, internal('No space left on device'));

    await both(from, to);

    expect([volume('c2')?.content, [...volume('c2')!.snapshots.keys()]]).toEqual(['second', ['s0']]);
    expect(member.get(InstanceSnapshots).list(find('c2')!).map(({ name }) => name)).toEqual(['s0']);
  });

  it('stays as it was when it was started before its source came', async () => {
    await both(await depart(), await arrive('c2'));
    volume('c1')!.content = 'third';
    const [from, to] = [await depart(), await arrive('c2', { refresh: true })];
    await member.get(InstancePower).start(member.ctx(), find('c2')!);

    const [, made] = await both(from, to);

    expect([made, volume('c2')?.content]).toEqual(['Error transferring instance data: Failed getting exclusive access to instance: Instance is running', 'second']);
  });

  it('cannot be started while it is refreshed, also where the lock is forgotten', async () => {
    await both(await depart(), await arrive('c2'));
    const [from, to] = [await depart(), await arrive('c2', { refresh: true })];
    const gate = Promise.withResolvers<void>();
    member.host.faults.before('migration.received', () => gate.promise);

    await relay(from, to);

    await vi.waitFor(() => expect(() => member.get(InstanceLeaving).refuse(find('c2')!.row)).toThrow('Instance is busy running a "receive-refresh" operation'));
    gate.resolve();
    expect((await to.wait()).err).toBe('');
  });

  it('is not there when the connections break', async () => {
    const [from, to] = [await depart(), await arrive('c2')];
    for (const name of ['control', 'fs']) await connect({ ...to, id: to.id, api: () => to.api() }, name);
    for (const socket of sockets) socket.terminate();
    const made = await to.wait();

    expect(made.err).toBe('Error transferring instance data: The other side has hung up');
    expect([find('c2'), volume('c2')]).toEqual([undefined, undefined]);
    await member.get(OperationsService).cancel(member.ctx(), from.id);
    expect((await from.wait()).status).toBe('Cancelled');
  });

  it('is undone by the next process when this one was killed', async () => {
    await arrive('c2');
    expect(find('c2')?.row.state).not.toBe('Created');
    const { host } = member;
    await member.stop();

    member = await FakeMember.start(host);
    for (let attempt = 0; attempt < 200 && find('c2') !== undefined; attempt++) await new Promise((resolve) => setTimeout(resolve, 10));

    expect([find('c2'), volume('c2')]).toEqual([undefined, undefined]);
  });

  it.each([
    [{ mode: 'sideways' }, 'Mode "sideways" not implemented'], [{ mode: 'pull' }, 'Invalid URL of the migration operation'],
    [{ mode: 'pull', operation: 'http://127.0.0.1/1.0/operations/x' }, 'Invalid URL of the migration operation'],
    [{ mode: 'pull', operation: 'https://127.0.0.1/1.0/operations/x', secrets: { control: 'a' } }, 'Missing fs secret'],
  ])('is refused from %j', async (source, message) => {
    await expect(arrive('c2', source)).rejects.toThrow(message);
    expect(find('c2')).toBeUndefined();
  });

  it('is refused under a name that is taken', async () => {
    await expect(arrive('c1')).rejects.toThrow('Failed creating instance record: Add instance info to the database: This "instances" entry already exists');
  });
});

it('is refreshed on the member that has it, whichever was asked', async () => {
  const cluster = await FakeCluster.start(2);
  try {
    await cluster.member(1).create('c1');
    await cluster.sync();

    const asked = { name: 'c1', architecture: 'x86_64', source: { type: 'migration', mode: 'push', refresh: true } };
    const operation = await cluster.member(2).get(InstancePlacement).create(cluster.member(2).ctx(), asked, null, '');

    expect(operation.api()).toMatchObject({ location: 'm1', class: 'websocket', metadata: { control: expect.any(String), fs: expect.any(String) } });
  } finally {
    await cluster.close();
  }
});
