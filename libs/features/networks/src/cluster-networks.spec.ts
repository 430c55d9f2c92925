import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, SilentLogger } from '#kernel';
import { openSharedDatabases, type SharedDatabase, type SharedDatabases } from '#platform/database/testing';
import { EventBus } from '#platform/events';
import { JoinParticipants } from '#features/cluster';
import { FakeFaults, FakeNetworkDriver } from '#drivers/fake';
import { FakePeerNetwork } from '#ports/testing';
import { ClusterNetworks } from './cluster-networks.service.js';
import { NetworksRepository } from './data/networks.repository.js';
import { MemberNetworks } from './member-networks.service.js';
import { NetworkJoin } from './network-join.participant.js';
import type { NetworkProjects } from './network-projects.service.js';
import { NetworkAclsRepository } from './data/network-acls.repository.js';
import { NetworkForwardsRepository } from './data/network-forwards.repository.js';
import { NetworkSpecs } from './network-specs.service.js';
import { NetworkUsage } from './network-usage.registry.js';
import { NetworkUsers } from './network-users.service.js';
import { NetworkViews } from './network-views.service.js';
import { NetworksService } from './networks.service.js';

const ctx = internalContext();
const projects = { owner: () => 'default', allows: () => true, assertAllowed: () => {}, refuseBeyondLimit: () => {} } as unknown as NetworkProjects;
const subnet = { 'ipv4.address': '10.7.0.1/24', 'ipv6.address': 'none' };

/** Networks of one member, with a host of its own. */
class Member {
  readonly faults = new FakeFaults();
  readonly host = new FakeNetworkDriver(this.faults);
  readonly usage = new NetworkUsage();
  readonly participants = new JoinParticipants();
  local!: MemberNetworks;
  networks!: NetworksService;
  views!: NetworkViews;

  constructor(readonly shared: SharedDatabase, private readonly network: FakePeerNetwork) {
    this.restart();
  }

  restart(): void {
    const { member, address, db: { database, runner, feed } } = this.shared;
    const peers = this.network.add({ id: member.id, name: member.name, address });
    const logger = new SilentLogger();
    const repository = new NetworksRepository(member);
    const users = new NetworkUsers(repository, this.usage);
    const specs = new NetworkSpecs(database, new NetworkForwardsRepository(database, member), new NetworkAclsRepository(database));
    this.local = new MemberNetworks(database, runner, repository, specs, this.host, member, logger, peers, feed);
    const cluster = new ClusterNetworks(database, runner, repository, users, specs, peers, member, new EventBus(), logger);
    this.networks = new NetworksService(database, runner, repository, this.local, cluster, users, specs, projects, this.host, new EventBus(), member, logger);
    this.views = new NetworkViews(database, repository, users, this.usage, projects, cluster, this.host, peers, member, logger);
    new NetworkJoin(runner, repository, this.local, member, this.participants);
  }

  define(target: string, config: Record<string, string> = {}): Promise<void> {
    return this.networks.create(ctx, { name: 'br0', type: 'bridge', description: '', config }, target);
  }

  create(config: Record<string, string> = subnet): Promise<void> {
    return this.define('', config);
  }

  update(config: Record<string, string>, target = '', merge = true): Promise<void> {
    return this.networks.update(ctx, 'br0', { config }, { merge, ifMatch: undefined, target });
  }

  async show(target?: string): Promise<{ status: string; config: Readonly<Record<string, string>>; locations: string[] | null }> {
    const { network: { status, config, locations } } = await this.views.get('default', 'br0', target);
    return { status, config, locations };
  }

  /** What the host has been told. */
  get told(): Readonly<Record<string, string>> | undefined {
    return this.host.bridges.get('br0')?.network.config;
  }
}

let network: FakePeerNetwork;
let cluster: SharedDatabases;
let [a, b, c]: Member[] = [];
const everyone = () => [a, b, c] as [Member, Member, Member];
const parts = async (member: Member) => Promise.all(['m1', 'm2', 'm3'].map(async (name) => (await member.show(name)).status));

beforeEach(async () => {
  network = new FakePeerNetwork();
  cluster = await openSharedDatabases(3);
  [a, b, c] = cluster.members.map((shared) => new Member(shared, network));
});
afterEach(() => cluster[Symbol.asyncDispose]());

async function made(): Promise<void> {
  for (const name of ['m1', 'm2', 'm3']) await a!.define(name);
  await cluster.settle();
  await b!.create();
  await cluster.settle();
}

describe('creating a network on several members', () => {
  it('takes a definition for each, then one request', async () => {
    await a!.define('m1', { 'bridge.external_interfaces': 'nic7' });
    await cluster.settle();
    expect(await b!.show()).toEqual({ status: 'Pending', config: {}, locations: ['m1'] });
    expect((await b!.show('m2')).status).toBe('Unknown');
    await b!.define('m2');
    await c!.define('m3');
    await c!.create({ 'user.k': 'v' });
    await cluster.settle();

    const { status, config, locations } = await a!.show();
    expect({ status, locations, keys: Object.keys(config) }).toEqual({
      status: 'Created', locations: ['m1', 'm2', 'm3'], keys: ['ipv4.address', 'ipv4.nat', 'ipv6.address', 'ipv6.nat', 'user.k'],
    });
    expect((await b!.show('m1')).config).toEqual({ ...config, 'bridge.external_interfaces': 'nic7' });
    expect(new Set(everyone().map(({ told }) => told?.['ipv4.address']))).toEqual(new Set([config['ipv4.address']]));
    expect(everyone().map(({ told }) => told?.['bridge.external_interfaces'])).toEqual(['nic7', undefined, undefined]);
    expect(b!.told?.['volatile.bridge.hwaddr']).toMatch(/^00:16:3e:/);
  });

  it('refuses in LXD\'s words', async () => {
    await expect(a!.create()).rejects.toThrow('Network not pending on any node (use --target <node> first)');
    await expect(a!.define('nope')).rejects.toThrow('Cluster member not found');
    await expect(a!.define('m1', subnet)).rejects.toThrow('Config key "ipv4.address" may not be used as member-specific key');
    await a!.define('m1');
    await expect(a!.define('m1')).rejects.toThrow('The network is already defined on member "m1"');
    await expect(a!.create()).rejects.toThrow('Network not defined on nodes: m2, m3');
    await expect(a!.update({ 'user.x': '1' })).rejects.toThrow('Cannot update network global config when not in created state');
    await expect(a!.update({ 'user.x': '1' }, 'm1')).rejects.toThrow('Config key "user.x" may not be used as member-specific key');
    await a!.update({ 'bridge.external_interfaces': 'nic7' }, 'm1');
    await expect(a!.networks.rename(ctx, 'br0', 'br1')).rejects.toThrow('Renaming clustered network not supported');
    await a!.define('m2');
    await a!.define('m3');
    await expect(a!.create({ 'bridge.external_interfaces': 'nic7' })).rejects.toThrow('Config key "bridge.external_interfaces" is cluster member specific');
    network.down.add(2);
    await expect(a!.create()).rejects.toThrow('peer node 127.0.0.2:8443 is down');
    expect((await a!.show()).status).toBe('Pending');
    network.down.clear();
    await a!.create();
    await expect(a!.define('m1')).rejects.toThrow('Network is not in pending state');
    expect(a!.told?.['bridge.external_interfaces']).toBe('nic7');
  });

  it('leaves an errored network when a member refuses, which can be made again', async () => {
    for (const name of ['m1', 'm2', 'm3']) await a!.define(name);
    b!.faults.fail('network.ensureNetwork');
    await expect(a!.create()).rejects.toThrow('failed to notify peer 127.0.0.2:8443: Injected failure');
    await cluster.settle();

    expect(await c!.show()).toMatchObject({ status: 'Errored', config: subnet });
    expect(await parts(c!)).toEqual(['Created', 'Pending', 'Created']);
    await expect(c!.create({ 'user.x': '1' })).rejects.toThrow('Network already partially created. Please do not specify any global config when re-running create');
    await c!.create({});
    await cluster.settle();
    expect(await a!.show()).toMatchObject({ status: 'Created', config: subnet });
    expect(b!.told).toMatchObject(subnet);
  });

  it('leaves an errored network, which can be deleted, when a member dies half way', async () => {
    for (const name of ['m1', 'm2', 'm3']) await a!.define(name);
    const reached = Promise.withResolvers<void>();
    b!.faults.before('network.ensureNetwork', async () => { reached.resolve(); await new Promise(() => {}); });
    void a!.create().catch(() => {});
    await reached.promise;
    await cluster.settle();
    expect((await a!.show()).status).toBe('Errored');
    b!.faults.clear();
    a!.restart();
    b!.restart();
    await b!.networks.ensureAll();
    expect((await b!.show('m2')).status).toBe('Pending');

    await a!.networks.delete(ctx, 'br0');
    await cluster.settle();
    expect(everyone().map(({ host, networks }) => [host.bridges.size, networks.list('default').length])).toEqual([[0, 0], [0, 0], [0, 0]]);
  });
});

describe('changing a network of several members', () => {
  beforeEach(made);

  it('reaches all hosts, and those that missed it when they look at their rows', async () => {
    await a!.update({ 'ipv4.nat': 'true' });
    await cluster.settle();
    expect(everyone().map(({ told }) => told?.['ipv4.nat'])).toEqual(['true', 'true', 'true']);

    // The one that asked died between the rows and its calls.
    await a!.shared.db.runner.run(ctx, (tx) => tx.sql.run(`UPDATE networks SET config = json_set(config, '$."ipv4.nat"', 'false')`));
    await cluster.settle();
    for (const { local } of everyone()) await local.restore();
    expect(everyone().map(({ told }) => told?.['ipv4.nat'])).toEqual(['false', 'false', 'false']);
  });

  it('goes back everywhere when a host refuses', async () => {
    b!.faults.fail('network.ensureNetwork');
    await expect(a!.update({ 'ipv4.nat': 'true' })).rejects.toThrow('failed to notify peer 127.0.0.2:8443');
    await cluster.settle();

    expect((await c!.show()).config).toEqual(subnet);
    expect(everyone().map(({ told }) => told?.['ipv4.nat'])).toEqual([undefined, undefined, undefined]);
  });

  it('changes the keys of one member on that member', async () => {
    await a!.update({ 'bridge.external_interfaces': 'nic7' }, 'm2');
    await cluster.settle();

    expect(everyone().map(({ told }) => told?.['bridge.external_interfaces'])).toEqual([undefined, 'nic7', undefined]);
    expect((await c!.show('m2')).config['bridge.external_interfaces']).toBe('nic7');
    expect((await c!.show()).config['bridge.external_interfaces']).toBeUndefined();
    await expect(a!.update({ 'bridge.external_interfaces': 'nic8' })).rejects.toThrow('Config key "bridge.external_interfaces" is cluster member specific');
    expect(b!.told?.['volatile.bridge.hwaddr']).toMatch(/^00:16:3e:/);
  });
});

describe('deleting a network of several members', () => {
  beforeEach(made);

  it('clears all hosts', async () => {
    await c!.networks.delete(ctx, 'br0');
    await cluster.settle();
    expect(everyone().map(({ host, networks }) => [host.bridges.size, networks.list('default').length])).toEqual([[0, 0], [0, 0], [0, 0]]);
    await expect(c!.networks.delete(ctx, 'br0')).rejects.toThrow('Failed loading network: Network not found');
  });

  it('can be tried again when a host refuses, and is refused while a member is away', async () => {
    network.down.add(2);
    await expect(a!.networks.delete(ctx, 'br0')).rejects.toThrow('peer node 127.0.0.2:8443 is down');
    network.down.clear();
    b!.faults.fail('network.removeNetwork');
    await expect(a!.networks.delete(ctx, 'br0')).rejects.toThrow('failed to notify peer 127.0.0.2:8443: Failed deleting network "br0"');
    await cluster.settle();
    expect([(await c!.show()).status, ...(await parts(c!))]).toEqual(['Errored', 'Pending', 'Created', 'Pending']);
    await a!.networks.delete(ctx, 'br0');
  });

  it('is finished by those it was asked of when the member that asked died', async () => {
    const stuck = Promise.withResolvers<void>();
    for (const member of [b!, c!]) member.faults.before('network.removeNetwork', async () => { stuck.resolve(); await new Promise(() => {}); });
    void a!.networks.delete(ctx, 'br0').catch(() => {});
    await stuck.promise;
    for (const member of everyone()) {
      member.faults.clear();
      member.restart();
    }
    await cluster.settle();
    for (const { networks } of everyone()) {
      await networks.ensureAll();
      await cluster.settle();
    }
    expect(everyone().map(({ host, networks }) => [host.bridges.size, networks.list('default').length])).toEqual([[0, 0], [0, 0], [0, 0]]);
  });
});

describe('joining and leaving', () => {
  beforeEach(made);

  it('gives a member its part of every network, by what was given for it', async () => {
    const d = new Member(await cluster.join('pending'), network);
    await d.participants.join(ctx, [{ entity: 'network', name: 'br0', key: 'bridge.external_interfaces', value: 'nic7', description: '' }]);
    await cluster.settle();

    expect(await a!.show('m4')).toMatchObject({ status: 'Created', config: { ...subnet, 'bridge.external_interfaces': 'nic7' }, locations: ['m1', 'm2', 'm3', 'm4'] });
    expect(d.told).toMatchObject(subnet);
    await d.participants.leave(ctx);
    expect(d.host.bridges.size).toBe(0);
  });

  it('leaves nothing on a host that refuses', async () => {
    const d = new Member(await cluster.join('pending'), network);
    d.faults.fail('network.ensureNetwork');
    await expect(d.participants.join(ctx, [])).rejects.toThrow('Injected failure');
    await d.local.restore();

    expect(d.host.bridges.size).toBe(0);
  });

  it('needs a link of its own for networks that are links', async () => {
    const define = (target: string, config: Record<string, string>) => a!.networks.create(ctx, { name: 'mv', type: 'macvlan', description: '', config }, target);
    for (const name of ['m1', 'm2', 'm3']) await define(name, { parent: 'eth0' });
    await cluster.settle();
    await define('', {});
    await cluster.settle();
    const d = new Member(await cluster.join('pending'), network);
    await expect(d.participants.join(ctx, [])).rejects.toThrow('Invalid value for network "mv" option "parent": Required value');
    expect(d.host.bridges.size).toBe(0);

    const e = new Member(await cluster.join('pending'), network);
    await e.participants.join(ctx, [{ entity: 'network', name: 'mv', key: 'parent', value: 'eth0', description: '' }]);
    await cluster.settle();
    expect((await a!.views.get('default', 'mv', e.shared.member.name)).network).toMatchObject({ status: 'Created', config: { parent: 'eth0' } });
  });

  it('makes a network that was missed while it joined', async () => {
    const d = new Member(await cluster.join(), network);
    await d.local.restore();
    await cluster.settle();
    expect((await a!.show('m4')).status).toBe('Created');
  });

  it('clears the host of a member whose rows are gone', async () => {
    await a!.shared.db.runner.run(ctx, (tx) => tx.sql.run('DELETE FROM nodes WHERE id = 3'));
    await cluster.settle();
    await c!.participants.leave(ctx);
    await c!.local.restore();
    expect(c!.host.bridges.size).toBe(0);
  });
});

describe('what members know of a network', () => {
  beforeEach(made);

  it('is collected: leases of all, or of one', async () => {
    const lease = (address: string) => ({ hostname: 'x', hwaddr: '', address, type: 'dynamic' });
    a!.host.bridges.get('br0')?.leases.push(lease('10.7.0.2'));
    b!.host.bridges.get('br0')?.leases.push(lease('10.7.0.3'));
    const listed = async (target?: string) => (await a!.views.leases('default', 'br0', target)).map(({ address, location }) => `${address} ${location}`);

    expect(await listed()).toEqual(['10.7.0.1 ', '10.7.0.2 m1', '10.7.0.3 m2']);
    expect(await listed('m2')).toEqual(['10.7.0.1 ', '10.7.0.3 m2']);
    network.down.add(2);
    expect(await listed()).toEqual(['10.7.0.1 ', '10.7.0.2 m1']);
  });

  it('is asked of the member that is named', async () => {
    b!.host.hostInterfaces.set('only2', { ...b!.host.hostInterfaces.get('eth0')!, name: 'only2' });
    await expect(a!.views.state('default', 'only2')).rejects.toThrow('Network interface "only2" not found');
    expect(await a!.views.state('default', 'only2', 'm2')).toMatchObject({ mtu: 1500 });
    expect((await a!.views.get('default', 'only2', 'm2')).network.managed).toBe(false);
  });
});
