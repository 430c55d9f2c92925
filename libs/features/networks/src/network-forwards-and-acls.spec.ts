import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, LocalMember, SilentLogger } from '#kernel';
import { FakePeers } from '#ports/testing';
import { openTemporaryDatabase } from '#platform/database';
import { EventBus } from '#platform/events';
import { FakeFaults, FakeNetworkDriver } from '#drivers/fake';
import { ClusterNetworks } from './cluster-networks.service.js';
import { NetworkAclsRepository } from './data/network-acls.repository.js';
import { NetworkForwardsRepository } from './data/network-forwards.repository.js';
import { NetworksRepository } from './data/networks.repository.js';
import { MemberNetworks } from './member-networks.service.js';
import { NetworkAcls } from './network-acls.service.js';
import { NetworkForwards } from './network-forwards.service.js';
import type { NetworkProjects } from './network-projects.service.js';
import { NetworkSpecs } from './network-specs.service.js';
import { NetworkUsage } from './network-usage.registry.js';
import { NetworkUsers } from './network-users.service.js';
import { NetworksService } from './networks.service.js';

const ctx = internalContext();
const projects = { owner: () => 'default', allows: () => true, assertAllowed: () => {}, refuseBeyondLimit: () => {} } as unknown as NetworkProjects;
const allow = { action: 'allow', state: 'enabled' };

class World {
  readonly faults = new FakeFaults();
  readonly host = new FakeNetworkDriver(this.faults);
  readonly usage = new NetworkUsage();
  networks!: NetworksService;
  forwards!: NetworkForwards;
  acls!: NetworkAcls;

  constructor(readonly db: Awaited<ReturnType<typeof openTemporaryDatabase>>) { this.restart(); }

  /** New services over the same rows and host, as a daemon that was killed finds them. */
  restart(): void {
    const { database, runner } = this.db;
    const [member, peers, logger, events] = [new LocalMember(), new FakePeers(), new SilentLogger(), new EventBus()];
    const repository = new NetworksRepository(member);
    const [forwards, acls] = [new NetworkForwardsRepository(database, member), new NetworkAclsRepository(database)];
    const users = new NetworkUsers(repository, this.usage);
    const specs = new NetworkSpecs(database, forwards, acls);
    const local = new MemberNetworks(database, runner, repository, specs, this.host, member, logger, peers, this.db.feed);
    const cluster = new ClusterNetworks(database, runner, repository, users, specs, peers, member, events, logger);
    this.networks = new NetworksService(database, runner, repository, local, cluster, users, specs, projects, this.host, events, member, logger);
    this.forwards = new NetworkForwards(database, runner, forwards, repository, projects, this.usage, cluster, peers, member, events, logger);
    this.acls = new NetworkAcls(database, runner, acls, repository, projects, specs, cluster, events, logger);
  }

  create(name: string, config: Record<string, string> = {}): Promise<void> {
    return this.networks.create(ctx, { name, type: 'bridge', description: '', config: { 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'none', ...config } });
  }

  told(name = 'br0') { return this.host.bridges.get(name)!.network; }

  addresses(): string[] { return this.forwards.list('default', 'br0').map((one) => one.listen_address); }
}

/** The host refuses its next change, but not before `change` is made, as `isMade` sees. */
function meanwhile(change: () => Promise<void>, isMade: () => boolean): { promise: Promise<void> } {
  const later = { promise: Promise.resolve() };
  let begun = false;
  world.faults.before('network.ensureNetwork', async () => {
    if (begun) return;
    begun = true;
    later.promise = change();
    await expect.poll(isMade).toBe(true);
  });
  world.faults.fail('network.ensureNetwork', 1, new Error('nft is broken'));
  return later;
}

let world: World;
beforeEach(async () => {
  world = new World(await openTemporaryDatabase());
  await world.create('br0');
});
afterEach(() => world.db.close());

const forward = { listen_address: '192.0.2.1', config: { target_address: '10.1.2.5' }, ports: [{ description: '', protocol: 'tcp', listen_port: '80, 90-91', target_port: '', target_address: '10.1.2.6' }] };

describe('forwards', () => {
  it('are told to the host whole, in canonical form', async () => {
    await world.forwards.create(ctx, 'br0', forward, '');
    await world.forwards.update(ctx, 'br0', '192.0.2.1', { description: ' web ' }, { merge: true, ifMatch: undefined, target: '' });

    expect(world.forwards.get('default', 'br0', '192.0.2.1', '').forward).toEqual({
      description: 'web', config: forward.config, listen_address: '192.0.2.1', location: 'none', ports: [{ ...forward.ports[0], listen_port: '80,90-91' }],
    });
    expect(world.told().forwards).toEqual([{ listenAddress: '192.0.2.1', targetAddress: '10.1.2.5', ports: [{ protocol: 'tcp', listenPorts: [80, 90, 91], targetAddress: '10.1.2.6', targetPorts: [] }] }]);

    expect(world.networks.nicNetwork('default', { type: 'nic', network: 'br0' }).networkConfig['volatile.forwards']).toBe('true');
    await world.forwards.delete(ctx, 'br0', '192.0.2.1', '');
    expect([world.told().forwards, world.addresses()]).toEqual([[], []]);
    expect(world.networks.nicNetwork('default', { type: 'nic', network: 'br0' }).networkConfig).not.toHaveProperty('volatile.forwards');
  });

  it('are not there when the host refuses', async () => {
    world.faults.fail('network.ensureNetwork', 1, new Error('nft is broken'));
    await expect(world.forwards.create(ctx, 'br0', forward, '')).rejects.toThrow('Failed creating forward: nft is broken');
    expect([world.addresses(), world.told().forwards]).toEqual([[], []]);

    await world.forwards.create(ctx, 'br0', forward, '');
    world.faults.fail('network.ensureNetwork', 1, new Error('nft is broken'));
    await expect(world.forwards.delete(ctx, 'br0', '192.0.2.1', '')).rejects.toThrow('Failed deleting forward: nft is broken');
    expect([world.addresses(), world.told().forwards?.length]).toEqual([['192.0.2.1'], 1]);
  });

  it('keep what somebody else has changed while a host refused', async () => {
    await world.forwards.create(ctx, 'br0', forward, '');
    const change = (description: string) => world.forwards.update(ctx, 'br0', '192.0.2.1', { description }, { merge: true, ifMatch: undefined, target: '' });
    const later = meanwhile(() => change('second'), () => world.forwards.get('default', 'br0', '192.0.2.1', '').forward.description === 'second');
    await expect(change('first')).rejects.toThrow('nft is broken');
    await later.promise;

    expect(world.forwards.get('default', 'br0', '192.0.2.1', '').forward.description).toBe('second');
  });

  it('count out no more ports than there are', async () => {
    const ports = (listen_port: string, target_port: string) => ({ ...forward, ports: [{ ...forward.ports[0]!, listen_port, target_port }] });
    const many = Array<string>(20_000).fill('1-65535').join(',');
    await expect(world.forwards.create(ctx, 'br0', ports(many, ''), '')).rejects.toThrow('Duplicate listen port 1 for protocol "tcp" in port specification 0');
    await expect(world.forwards.create(ctx, 'br0', ports('80-81', many), '')).rejects.toThrow('Mismatch of listen port(s) and target port(s) count in port specification 0');
    expect(world.addresses()).toEqual([]);
  });

  it('reach the host of a daemon that died between row and host', async () => {
    await world.forwards.create(ctx, 'br0', forward, '');
    await world.host.ensureNetwork({ ...world.told(), forwards: [] });
    world.restart();
    await world.networks.ensureAll();

    expect(world.told().forwards).toHaveLength(1);
  });

  it('do not listen on what others use, and keep a network\'s subnet', async () => {
    await world.create('br1', { 'ipv4.address': '10.3.3.1/24', 'ipv4.routes': '192.0.2.128/25' });
    for (const address of ['10.3.3.9', '192.0.2.130']) {
      await expect(world.forwards.create(ctx, 'br0', { listen_address: address }, '')).rejects.toThrow(`Failed creating forward: Forward listen address "${address}/32" overlaps with another network or NIC`);
    }
    await world.forwards.create(ctx, 'br0', forward, '');
    await expect(world.networks.update(ctx, 'br0', { config: { 'ipv4.address': '10.9.9.1/24' } }, { merge: true, ifMatch: undefined })).rejects.toThrow('not within the network subnet');
    expect(world.told().config['ipv4.address']).toBe('10.1.2.1/24');
  });
});

describe('access lists', () => {
  const use = (names: string) => world.networks.update(ctx, 'br0', { config: { 'security.acls': names } }, { merge: true, ifMatch: undefined });
  const actions = () => world.told().acl?.map(({ direction, action, logPrefix }) => [direction, action, logPrefix].join(' '));

  it('are ordered by what their rules do, with the defaults last', async () => {
    await world.acls.create(ctx, { name: 'a1', ingress: [allow, { action: 'drop', state: 'logged', source: ' 10.0.0.1 , fd00::1 ' }], egress: [{ action: 'reject', state: 'disabled' }] });
    await world.acls.create(ctx, { name: 'a2', egress: [{ action: 'reject', state: 'enabled', protocol: 'udp' }] });
    await use('a1, a2');

    expect(actions()).toEqual(['ingress drop br0-ingress-1', 'egress reject ', 'ingress allow ', 'egress reject ', 'ingress reject ']);
    expect(world.told().acl?.[0]?.source).toEqual(['10.0.0.1', 'fd00::1']);
    expect(world.acls.get('default', 'a1').acl.used_by).toEqual(['/1.0/networks/br0']);
    await use('');
    expect(world.told().acl).toEqual([]);
  });

  it('reach the networks that use them when they change, and go back when a host refuses', async () => {
    await world.acls.create(ctx, { name: 'a1' });
    await use('a1');
    await world.acls.update(ctx, 'a1', { ingress: [allow] }, { merge: false, ifMatch: undefined });
    await world.acls.update(ctx, 'a1', { description: 'kept' }, { merge: true, ifMatch: undefined });
    expect(actions()).toEqual(['ingress allow ', 'egress reject ', 'ingress reject ']);

    world.faults.fail('network.ensureNetwork', 1, new Error('nft is broken'));
    await expect(world.acls.update(ctx, 'a1', { ingress: [] }, { merge: false, ifMatch: undefined })).rejects.toThrow('nft is broken');
    expect(world.acls.get('default', 'a1').acl).toMatchObject({ description: 'kept', ingress: [allow] });
    expect(actions()).toHaveLength(3);
  });

  it('keep what somebody else has changed while a host refused', async () => {
    await world.acls.create(ctx, { name: 'a1' });
    await use('a1');
    const change = (description: string) => world.acls.update(ctx, 'a1', { description }, { merge: true, ifMatch: undefined });
    const later = meanwhile(() => change('second'), () => world.acls.get('default', 'a1').acl.description === 'second');
    await expect(change('first')).rejects.toThrow('nft is broken');
    await later.promise;

    expect(world.acls.get('default', 'a1').acl.description).toBe('second');
  });

  it('that others name in their rules are in use', async () => {
    await world.acls.create(ctx, { name: 'a2', ingress: [{ ...allow, source: 'a2' }] });
    await world.acls.create(ctx, { name: 'a1', ingress: [{ ...allow, source: '10.0.0.1, a2' }] });
    await world.acls.create(ctx, { name: 'b1', egress: [{ action: 'allow', state: 'disabled', destination: 'a2' }] });

    expect(world.acls.list('default').map(({ name, used_by }) => [name, used_by])).toEqual([['a1', []], ['a2', ['/1.0/network-acls/a1', '/1.0/network-acls/b1']], ['b1', []]]);
    await expect(world.acls.delete(ctx, 'a2')).rejects.toThrow('Cannot delete an ACL that is in use');
    await expect(world.acls.rename(ctx, 'a2', 'a3')).rejects.toThrow('Cannot rename an ACL that is in use');
    for (const name of ['a1', 'b1', 'a2']) await world.acls.delete(ctx, name);
  });

  it('with rules no bridge can have are refused where one uses them, and before', async () => {
    const named = [{ ...allow, source: '@internal' }];
    await world.acls.create(ctx, { name: 'a1', ingress: named });
    await expect(use('a1')).rejects.toThrow('Unsupported nftables subject "@internal"');
    await world.acls.update(ctx, 'a1', { ingress: [allow] }, { merge: false, ifMatch: undefined });
    await use('a1');
    await expect(world.acls.update(ctx, 'a1', { ingress: named }, { merge: false, ifMatch: undefined })).rejects.toThrow('Unsupported nftables subject "@internal"');
    await expect(world.acls.delete(ctx, 'a1')).rejects.toThrow('Cannot delete an ACL that is in use');

    expect(actions()).toEqual(['ingress allow ', 'egress reject ', 'ingress reject ']);
  });
});
