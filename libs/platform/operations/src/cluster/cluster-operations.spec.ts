import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, LocalMember, newOperationId, SilentLogger, type RequestContext } from '#kernel';
import type { Operation } from '#api-types';
import { openTemporaryDatabase } from '#platform/database';
import { EventMesh } from '#platform/events';
import { FakePeerNetwork, type FakePeers } from '#ports/testing';
import type { InMemoryOptions } from '../operations.service.js';
import { DetachedOperations } from '../testing/index.js';
import { ClusterOperations } from './cluster-operations.js';
import { OperationPeers } from './operation-peers.js';
import { RemoteOperationWatch } from './remote-operation-watch.js';

const joe: RequestContext = { ...internalContext(), requestor: { username: 'joe', protocol: 'tls', address: '10.0.0.1:5' } };
const forEver = (): Promise<never> => new Promise(() => {});

let world: Awaited<ReturnType<typeof openTemporaryDatabase>>;
let network: FakePeerNetwork;
let offline: Set<number>;
const ends: (() => Promise<void> | void)[] = [];

/** A member counts as online for a while after it went away: until the spec says `offline`. */
function patient(peers: FakePeers): FakePeers {
  peers.isOnline = (id) => !offline.has(id) && network.members.has(id);
  return peers;
}

function member(id: number) {
  const name = `m${id}`;
  const local = Object.assign(new LocalMember(), { id, name, clustered: true });
  const peers = patient(network.add({ id, name, address: `127.0.0.${id}:8443` }));
  const logger = new SilentLogger();
  let detached!: DetachedOperations;
  let operations!: ClusterOperations;
  let mesh!: EventMesh;
  const begin = (): void => {
    detached = new DetachedOperations({ transactions: world.runner, database: world.database, feed: world.feed }, { member: local, visibleMs: 5000 });
    mesh = new EventMesh(detached.events, world.feed, logger, peers);
    operations = new ClusterOperations(detached.service, detached.repository, mesh, detached.options, peers);
    new OperationPeers(detached.service, peers);
    const watch = new RemoteOperationWatch(operations, mesh, detached.events, logger, peers);
    watch.onApplicationBootstrap();
    mesh.onApplicationBootstrap();
    ends.push(() => detached.die(), () => mesh.onApplicationShutdown(), () => watch.onApplicationShutdown());
  };
  begin();
  return {
    get cluster() { return operations; },
    get mesh() { return mesh; },
    get own() { return detached; },
    /** The daemon dies, and another begins with nothing in memory. */
    restart: (): void => {
      network.cut(id);
      mesh.onApplicationShutdown();
      begin();
      network.heal(id);
    },
    begin: (options: Partial<InMemoryOptions> = {}, project = 'default') =>
      detached.service.runInMemory(internalContext(undefined, project), { kind: 'test.run', class: 'task', description: 'Testing', resources: {}, ...(options.class === 'token' ? {} : { run: forEver }), ...options }),
    listen: async (): Promise<Operation[]> => {
      const heard: Operation[] = [];
      await mesh.hold(['operation']).ready;
      detached.events.subscribe({ types: ['operation'], project: null }, (json) => heard.push((JSON.parse(json) as { metadata: Operation }).metadata));
      return heard;
    },
  };
}

let m1: ReturnType<typeof member>;
let m2: ReturnType<typeof member>;

beforeEach(async () => {
  world = await openTemporaryDatabase();
  network = new FakePeerNetwork();
  offline = new Set();
  [m1, m2] = [member(1), member(2)];
  world.feed.reset();
  await expect.poll(() => m1.mesh.connected(2) && m2.mesh.connected(1)).toBe(true);
});

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await world.close();
});

/** Member 2 stops answering, and member 1 has noticed. */
async function loseSecond(): Promise<void> {
  network.cut(2);
  await expect.poll(() => m1.mesh.connected(2)).toBe(false);
}

/** A stored operation of member 2, under way. */
async function storedOnSecond(): Promise<string> {
  const id = newOperationId(2);
  await world.runner.run(internalContext(), (tx) => {
    tx.sql.run(`INSERT OR IGNORE INTO nodes (id, name, address) VALUES (2, 'm2', '127.0.0.2:8443')`);
    m2.own.repository.insert(tx, {
      id, memberId: 2, project: 'default', kind: 'test.unknown', version: 1, description: 'Testing', conflictKey: null, epoch: 1,
      requestor: joe.requestor, resources: {}, params: {}, steps: [], metadata: {},
    });
  });
  return id;
}

describe('ClusterOperations', () => {
  it('lists those of all members, and shows any of them anywhere, each at its own place', async () => {
    const here = await m1.begin({}, 'web');
    const there = await m2.begin();

    const listed = await m1.cluster.list(null);

    expect(listed.map(({ project, operation }) => [project, operation.id, operation.location])).toEqual([['web', here.id, 'm1'], ['default', there.id, 'm2']]);
    expect((await m2.cluster.list('web')).map(({ operation }) => operation.id)).toEqual([here.id]);
    expect((await m1.cluster.get(there.id)).operation).toEqual(there.api());
  });

  it('leaves out members that are away, and has none of their operations, without waiting', async () => {
    const there = await m2.begin();
    await loseSecond();

    expect(await m1.cluster.list(null)).toEqual([]);
    await expect(m1.cluster.get(there.id)).rejects.toMatchObject({ kind: 'not-found', message: 'Operation not found' });
    await expect(m1.cluster.cancel(joe, there.id)).rejects.toMatchObject({ kind: 'not-found' });
    await expect.poll(() => m1.mesh.hasLost(2), { timeout: 3000 }).toBe(true);
    expect(() => m1.cluster.ownerOf(there.id)).toThrow('Operation not found');
  });

  it('has none of members that never were', async () => {
    await expect(m1.cluster.get(newOperationId(7))).rejects.toMatchObject({ kind: 'not-found' });
    await expect(m1.cluster.get('nope')).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('cancels on another member, with its words when that cannot be', async () => {
    const token = await m2.begin({ class: 'token' });
    const task = await m2.begin();

    await m1.cluster.cancel(joe, token.id);

    expect((await m1.cluster.get(token.id)).operation.status).toBe('Cancelled');
    await expect(m1.cluster.cancel(joe, task.id)).rejects.toMatchObject({ kind: 'invalid', message: "This operation can't be cancelled" });
  });

  describe('wait', () => {
    it('ends with the operation, or with the time', async () => {
      const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
      const task = await m2.begin({ run: () => promise });
      const known = await m1.cluster.get(task.id);

      expect((await m1.cluster.wait(joe, known, 0)).operation.status).toBe('Running');
      const waiting = m1.cluster.wait(joe, known, -1);
      resolve({ done: 'yes' });

      expect((await waiting).operation).toMatchObject({ status: 'Success', metadata: { done: 'yes' } });
    });

    it('ends with failure when the member goes', async () => {
      const task = await m2.begin();
      const known = await m1.cluster.get(task.id);
      const waiting = m1.cluster.wait(joe, known, -1);
      await loseSecond();
      offline.add(2);

      expect((await waiting).operation).toMatchObject({ status: 'Failure', status_code: 400, err: 'Lost connection to cluster member "m2" that ran the operation' });
    });

    it('ends with failure when the member comes back without the operation', async () => {
      const task = await m2.begin();
      const known = await m1.cluster.get(task.id);
      const waiting = m1.cluster.wait(joe, known, -1);

      m2.restart();

      expect((await waiting).operation.status).toBe('Failure');
    });

    it('goes on while the next daemon takes up a stored operation, and ends as its row does', async () => {
      const id = await storedOnSecond();
      const known = { project: 'default', operation: { ...(await m2.begin()).api(), id } };
      let ended = false;
      const waiting = m1.cluster.wait(joe, known, -1).then((result) => {
        ended = true;
        return result;
      });

      await new Promise((resolve) => setTimeout(resolve, 400));
      expect(ended).toBe(false);
      await world.runner.run(internalContext(), (tx) => m2.own.repository.finish(tx, id, 1, { status: 'Success', error: '', metadata: { a: 1 } }));

      expect((await waiting).operation).toMatchObject({ id, status: 'Success', status_code: 200, metadata: { a: 1 } });
    });
  });
});

describe('RemoteOperationWatch', () => {
  it('tells listeners that an operation failed whose member is offline, begun before or after they listened', async () => {
    const before = await m2.begin();
    const heard = await m1.listen();
    const after = await m2.begin();
    await expect.poll(() => heard.some(({ id }) => id === after.id)).toBe(true);

    await loseSecond();
    offline.add(2);

    await expect.poll(() => heard.filter(({ status }) => status === 'Failure').map(({ id }) => id).sort(), { timeout: 3000 }).toEqual([before.id, after.id].sort());
    expect(heard.at(-1)).toMatchObject({ status_code: 400, may_cancel: false, location: 'm2', err: 'Lost connection to cluster member "m2" that ran the operation' });
  });

  it('tells of those that a restarted daemon does not have, and of nothing that ended or goes on', async () => {
    const heard = await m1.listen();
    const lost = await m2.begin();
    const done = await m2.begin({ run: async () => {} });
    const stored = await storedOnSecond();
    await done.done;
    await expect.poll(() => heard.some(({ id, status }) => id === done.id && status === 'Success')).toBe(true);

    m2.restart();

    await expect.poll(() => heard.filter(({ status }) => status === 'Failure').map(({ id }) => id), { timeout: 3000 }).toEqual([lost.id]);
    expect(heard.some(({ id, status }) => id === stored && status !== 'Running')).toBe(false);
  });

  it('says nothing while the member may come back with the operation', async () => {
    const heard = await m1.listen();
    const task = await m2.begin();
    await expect.poll(() => heard.some(({ id }) => id === task.id)).toBe(true);

    await loseSecond();
    network.heal(2);
    await expect.poll(() => m1.mesh.connected(2), { timeout: 3000 }).toBe(true);
    const other = await m2.begin();
    await expect.poll(() => heard.some(({ id }) => id === other.id), { timeout: 3000 }).toBe(true);

    expect(heard.filter(({ status }) => status === 'Failure')).toEqual([]);
  });
});
