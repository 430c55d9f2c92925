import { afterEach, describe, expect, it } from 'vitest';
import { LocalMember, SilentLogger } from '#kernel';
import type { EventType } from '#api-types';
import { FakePeerNetwork } from '#ports/testing';
import { ChangeFeed } from '#platform/database';
import { EventBus } from './event-bus.js';
import { EventMesh } from './event-mesh.js';

interface Heard {
  readonly type: string;
  readonly location: string;
  readonly metadata: { readonly action?: string; readonly message?: string };
}

let network = new FakePeerNetwork();
let meshes: EventMesh[] = [];

afterEach(() => {
  for (const mesh of meshes) mesh.onApplicationShutdown();
  meshes = [];
  network = new FakePeerNetwork();
});

function member(id: number) {
  const name = `m${id}`;
  const bus = new EventBus(Object.assign(new LocalMember(), { id, name, clustered: true }));
  const feed = new ChangeFeed(new SilentLogger());
  const mesh = new EventMesh(bus, feed, new SilentLogger(), network.add({ id, name, address: `127.0.0.${id}:8443` }));
  meshes.push(mesh);
  const listen = async (types: EventType[], project: string | null = null): Promise<Heard[]> => {
    const heard: Heard[] = [];
    await mesh.hold(types).ready;
    bus.subscribe({ types, project }, (json) => heard.push(JSON.parse(json) as Heard));
    return heard;
  };
  return { bus, mesh, feed, listen, say: (action: string, project = 'default') => bus.lifecycle({ action, source: '/1.0/x', project }) };
}

/** Members that have found each other. */
async function cluster(size: number) {
  const members = Array.from({ length: size }, (_, i) => member(i + 1));
  for (const { mesh } of members) mesh.onApplicationBootstrap();
  for (const { mesh } of members) await expect.poll(() => members.every((_, i) => members[i]!.mesh === mesh || mesh.connected(i + 1))).toBe(true);
  return members;
}

describe('EventMesh', () => {
  it('brings the events of all members to a listener on any, each once and in order', async () => {
    const [m1, m2, m3] = await cluster(3);
    const heard = await m1!.listen(['lifecycle']);

    for (let i = 0; i < 50; i++) {
      m2!.say(`b${i}`);
      m3!.say(`c${i}`);
      m1!.say(`a${i}`);
    }

    await expect.poll(() => heard.length).toBe(150);
    for (const [location, letter] of [['m1', 'a'], ['m2', 'b'], ['m3', 'c']]) {
      expect(heard.filter((event) => event.location === location).map(({ metadata }) => metadata.action)).toEqual(Array.from({ length: 50 }, (_, i) => `${letter}${i}`));
    }
  });

  it('has whatever is published once the listener was told it is ready', async () => {
    const [m1, m2] = await cluster(2);

    const heard = await m1!.listen(['lifecycle']);
    m2!.say('at once');

    await expect.poll(() => heard.map(({ metadata }) => metadata.action)).toEqual(['at once']);
  });

  it('keeps projects apart, and gives log messages to all', async () => {
    const [m1, m2] = await cluster(2);
    const heard = await m1!.listen(['lifecycle', 'logging'], 'web');

    m2!.say('theirs', 'default');
    m2!.say('ours', 'web');
    m2!.bus.logging({ level: 'info', message: 'hello' });

    await expect.poll(() => heard.map(({ metadata }) => metadata.action ?? metadata.message)).toEqual(['ours', 'hello']);
  });

  it('builds no event that nobody on any member listens to', async () => {
    const [m1, m2] = await cluster(2);

    expect(m2!.bus.hasListeners('lifecycle')).toBe(false);
    await m1!.listen(['lifecycle']);

    expect(m2!.bus.hasListeners('lifecycle')).toBe(true);
    expect(m2!.bus.hasListeners('operation')).toBe(false);
  });

  it('goes on when a member comes back, and tells that it was away', async () => {
    const [m1, m2] = await cluster(2);
    const heard = await m1!.listen(['lifecycle']);
    const told: string[] = [];
    m1!.mesh.listen({ lost: (id) => told.push(`lost ${id}`), subscribed: (id) => told.push(`again ${id}`) });

    network.cut(2);
    await expect.poll(() => m1!.mesh.connected(2)).toBe(false);
    m2!.say('unheard');
    network.heal(2);
    await expect.poll(() => told).toEqual(['lost 2', 'again 2']);
    m2!.say('heard');

    await expect.poll(() => heard.map(({ metadata }) => metadata.action)).toEqual(['heard']);
  });

  it('does not take a member for lost that was heard of otherwise', async () => {
    const [m1, m2] = await cluster(2);
    network.cut(2);
    await expect.poll(() => m1!.mesh.hasLost(2) && m2!.mesh.hasLost(1), { timeout: 3000 }).toBe(true);

    network.heal(2);
    m2!.mesh.heardOf(1);

    expect(m2!.mesh.hasLost(1)).toBe(false);
    await expect.poll(() => m2!.mesh.connected(1), { interval: 5 }).toBe(true);
    // It was asked by the other, so that one is there.
    expect(m1!.mesh.hasLost(2)).toBe(false);
  });

  it('does not wait for members that cannot be reached', async () => {
    const [m1] = await cluster(2);
    network.cut(2);
    await expect.poll(() => m1!.mesh.connected(2)).toBe(false);

    await m1!.listen(['lifecycle']);
  });

  it('finds members that join, and drops those that leave', async () => {
    const [m1] = await cluster(2);
    const m3 = member(3);
    m3.mesh.onApplicationBootstrap();
    m1!.feed.reset();
    await expect.poll(() => m1!.mesh.connected(3)).toBe(true);
    const heard = await m1!.listen(['lifecycle']);

    network.members.delete(3);
    m1!.feed.reset();
    await expect.poll(() => m3.bus.hasListeners('lifecycle')).toBe(false);
    m3.say('unheard');

    expect(m1!.mesh.connected(3)).toBe(false);
    expect(heard).toEqual([]);
  });

  it('cuts off a member that sends no event stream', async () => {
    const [m1, m2] = await cluster(2);
    await m1!.listen(['lifecycle']);
    network.members.get(2)!.handleStream('events.subscribe', async (_request, stream) => void stream.write('nonsense\n'));

    network.cut(2);
    network.heal(2);

    await expect.poll(() => m1!.mesh.connected(2)).toBe(false);
    expect(m2!.bus.hasListeners('lifecycle')).toBe(false);
  });

  describe('with hubs', () => {
    async function withHubs(size: number, hubs: number[]) {
      network.hubs = hubs;
      return cluster(size);
    }
    const actions = (heard: readonly Heard[]) => heard.map(({ metadata }) => metadata.action).sort();

    it('is as without while there is only one', async () => {
      const [m1, m2] = await withHubs(2, [1]);
      expect([m1!.mesh.mode, m2!.mesh.mode]).toEqual(['full-mesh', 'full-mesh']);
      network.hubs = [1, 2];
      expect([m1!.mesh.mode, m2!.mesh.mode]).toEqual(['hub-server', 'hub-server']);
    });

    it('brings everything to everybody once, and a member sends to hubs only', async () => {
      const members = await withHubs(5, [1, 2]);
      expect(members.map(({ mesh }) => mesh.mode)).toEqual(['hub-server', 'hub-server', 'hub-client', 'hub-client', 'hub-client']);
      const heard = await Promise.all(members.map(({ listen }) => listen(['lifecycle'])));
      // The mesh's own listeners are told who it was, not who handed it on.
      const from: number[] = [];
      members[4]!.mesh.listen({ event: (id) => from.push(id) });

      members.forEach(({ say }, i) => say(`of m${i + 1}`));

      const all = ['of m1', 'of m2', 'of m3', 'of m4', 'of m5'];
      for (const one of heard) await expect.poll(() => actions(one)).toEqual(all);
      expect(from.sort()).toEqual([1, 2, 3, 4]);
    });

    it('tells what members behind a hub send', async () => {
      const [, , m3] = await withHubs(4, [1, 2]);
      const told: string[] = [];
      m3!.mesh.listen({ subscribed: (id, types) => { if (types.includes('operation')) told.push(String(id)); } });
      await m3!.listen(['operation']);
      expect(told.sort()).toEqual(['1', '2', '4']);
      told.length = 0;

      network.cut(4);
      await expect.poll(() => m3!.mesh.connected(4)).toBe(false);
      network.heal(4);
      await expect.poll(() => told).toEqual(['4']);
    });

    it('asks another hub when the one it had goes, and each member itself when none is left', async () => {
      const [, , m3, m4] = await withHubs(4, [1, 2]);
      const heard = await m3!.listen(['lifecycle']);
      for (const hub of [2, 1]) {
        network.cut(hub);
        await expect.poll(() => m3!.mesh.connected(hub)).toBe(false);
        await expect.poll(() => { m4!.say(`without ${hub}`); return actions(heard); }).toContain(`without ${hub}`);
      }
      m4!.say('last');
      await expect.poll(() => actions(heard).filter((action) => action === 'last')).toEqual(['last']);
    });
  });
});
