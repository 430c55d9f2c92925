import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internalContext, LocalMember, notFound, SilentLogger, type RequestContext } from '#kernel';
import { FakePeers } from '#ports/testing';
import { openTemporaryDatabase } from '#platform/database';
import { EventBus } from '#platform/events';
import { etagOf } from '#platform/http';
import { FakeFaults, FakeNetworkDriver } from '#drivers/fake';
import { ClusterNetworks } from './cluster-networks.service.js';
import { NetworksRepository } from './data/networks.repository.js';
import { MemberNetworks } from './member-networks.service.js';
import type { NetworkProjects } from './network-projects.service.js';
import { NetworkAclsRepository } from './data/network-acls.repository.js';
import { NetworkForwardsRepository } from './data/network-forwards.repository.js';
import { NetworkSpecs } from './network-specs.service.js';
import { NetworkUsage } from './network-usage.registry.js';
import { NetworkUsers } from './network-users.service.js';
import { NetworkViews } from './network-views.service.js';
import { NetworksService } from './networks.service.js';

const ctx = internalContext();
const isolated: RequestContext = internalContext(undefined, 'web');

/** `web` has networks of its own, `shared` uses those of the default project. */
const projects = {
  allows: () => true,
  assertAllowed: () => {}, refuseBeyondLimit: () => {},
  owner: (name: string) => {
    if (!['default', 'web', 'shared'].includes(name)) throw notFound(`Failed to load project "${name}": Project not found`);
    return name === 'web' ? 'web' : 'default';
  },
} as unknown as NetworkProjects;

class World {
  readonly faults = new FakeFaults();
  readonly host = new FakeNetworkDriver(this.faults);
  readonly usage = new NetworkUsage();
  readonly events = new EventBus();
  readonly seen: string[] = [];
  networks!: NetworksService;
  views!: NetworkViews;

  constructor(readonly db: Awaited<ReturnType<typeof openTemporaryDatabase>>) {
    this.events.subscribe({ types: ['lifecycle'], project: null }, (json) => {
      const { metadata } = JSON.parse(json) as { metadata: { action: string; source: string } };
      this.seen.push(`${metadata.action} ${metadata.source}`);
    });
    this.restart();
  }

  /** New services over the same rows and host, as a daemon that was killed finds them. */
  restart(): void {
    const { database, runner } = this.db;
    const [member, peers, logger] = [new LocalMember(), new FakePeers(), new SilentLogger()];
    const repository = new NetworksRepository(member);
    const users = new NetworkUsers(repository, this.usage);
    const specs = new NetworkSpecs(database, new NetworkForwardsRepository(database, member), new NetworkAclsRepository(database));
    const local = new MemberNetworks(database, runner, repository, specs, this.host, member, logger, peers, this.db.feed);
    const cluster = new ClusterNetworks(database, runner, repository, users, specs, peers, member, this.events, logger);
    this.networks = new NetworksService(database, runner, repository, local, cluster, users, specs, projects, this.host, this.events, member, logger);
    this.views = new NetworkViews(database, repository, users, this.usage, projects, cluster, this.host, peers, member, logger);
  }

  create(name = 'br0', config: Record<string, string> = {}, type = ''): Promise<void> {
    return this.networks.create(ctx, { name, type, description: '', config });
  }

  names(): string[] {
    return this.db.database.read.all<{ name: string }>('SELECT name FROM networks ORDER BY name').map(({ name }) => name);
  }
}

let world: World;
beforeEach(async () => { world = new World(await openTemporaryDatabase()); });
afterEach(() => world.db.close());

describe('networks that are no bridges', () => {
  it('tell NICs what they are made on, and nothing to DHCP', async () => {
    await world.create('mv', { parent: 'eth0', vlan: '7', mtu: '1400', gvrp: 'true' }, 'macvlan');
    const nic = { type: 'nic', network: 'mv', name: 'eth0' };

    expect(world.networks.nicConfig('default', nic)).toEqual({ ...nic, nictype: 'macvlan', parent: 'eth0', vlan: '7', mtu: '1400', gvrp: 'true' });
    expect(world.networks.nicNetwork('default', nic, 'eth0')).toEqual({ device: 'eth0', parent: 'eth0', network: '', networkConfig: {} });
    expect((await world.views.get('default', 'mv')).network).toMatchObject({ type: 'macvlan', managed: true, config: { parent: 'eth0', vlan: '7', mtu: '1400', gvrp: 'true' } });
    await expect(world.views.leases('default', 'mv')).rejects.toMatchObject({ kind: 'not-implemented' });
  });

  it('share no link where one of them is physical, but for different VLANs', async () => {
    await world.create('ph', { parent: 'eth0' }, 'physical');
    await expect(world.create('ph2', { parent: 'eth0', vlan: '5' }, 'physical')).rejects.toThrow('Parent interface "eth0" in use by another network');
    await world.networks.update(ctx, 'ph', { config: { vlan: '6' } }, { merge: true, ifMatch: undefined });
    await world.create('ph2', { parent: 'eth0', vlan: '5' }, 'physical');
    await expect(world.networks.update(ctx, 'ph2', { config: { vlan: '6' } }, { merge: true, ifMatch: undefined })).rejects.toThrow('Parent interface "eth0" in use by another network');
    expect(world.names()).toEqual(['ph', 'ph2']);
  });
});

describe('create', () => {
  it('chooses free subnets, translates them and keeps the address of the bridge to itself', async () => {
    await world.create();
    const { network } = await world.views.get('default', 'br0');

    expect(network).toMatchObject({ name: 'br0', type: 'bridge', managed: true, status: 'Created', used_by: null, locations: ['none'], description: '' });
    expect(Object.keys(network.config).sort()).toEqual(['ipv4.address', 'ipv4.nat', 'ipv6.address', 'ipv6.nat']);
    expect(network.config['ipv4.address']).toMatch(/^10\.\d+\.\d+\.1\/24$/);
    expect(network.config['ipv6.address']).toMatch(/^fd42:[0-9a-f:]+::1\/64$/);
    expect(world.host.bridges.get('br0')?.network.config['volatile.bridge.hwaddr']).toMatch(/^00:16:3e:/);
    expect(world.seen).toEqual(['network-created /1.0/networks/br0']);
  });

  it('keeps to what was asked for', async () => {
    await world.create('br0', { 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'none', 'user.empty': '' });

    expect((await world.views.get('default', 'br0')).network.config).toEqual({ 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'none' });
  });

  it.each([
    ['', {}, '', 'No name provided'],
    ['a b', {}, '', 'Network interface contains invalid characters'],
    ['..', {}, '', 'Network interface contains invalid characters'],
    ['a', {}, '', 'Network interface is too short (minimum 2 characters)'],
    ['abcdefghijklmnopq', {}, '', 'Network interface is too long (maximum 15 characters)'],
    ['br1', {}, 'foo', 'Unknown driver'],
    ['br1', {}, 'ovn', 'Network type "ovn" is not supported'],
    ['mv', {}, 'macvlan', 'Invalid value for network "mv" option "parent": Required value'],
    ['mv', { parent: 'eth9' }, 'macvlan', 'Parent interface "eth9" not found'],
    ['a:b', { parent: 'eth0' }, 'macvlan', 'Cannot contain ":"'],
    ['mv', { parent: 'eth0', 'ipv4.address': 'none' }, 'macvlan', 'Invalid option for network "mv" option "ipv4.address"'],
    ['sr', { parent: 'eth0', gvrp: 'true' }, 'sriov', 'Invalid option for network "sr" option "gvrp"'],
    ['ph', { parent: 'eth0', 'ipv4.gateway': '10.0.0.0/24' }, 'physical', 'Invalid value for network "ph" option "ipv4.gateway": Not a usable IPv4 address "10.0.0.0/24"'],
    ['br1', { foo: '1' }, '', 'Invalid option for network "br1" option "foo"'],
    ['br1', { 'volatile.bridge.hwaddr': '00:16:3e:00:00:01' }, '', 'Invalid option for network "br1" option "volatile.bridge.hwaddr"'],
    ['br1', { 'tunnel.a': 'x' }, '', 'Invalid network configuration key: tunnel.a'],
    ['br1', { 'ipv4.address': '10.0.0.0/24' }, '', 'Invalid value for network "br1" option "ipv4.address": Not a usable IPv4 address "10.0.0.0/24"'],
    ['br1', { 'ipv4.address': 'fd00::1/64' }, '', 'Invalid value for network "br1" option "ipv4.address": Not an IPv4 address "fd00::1/64"'],
    ['br1', { 'ipv4.nat': 'foo' }, '', 'Invalid value for network "br1" option "ipv4.nat": Invalid value for a boolean "foo"'],
    ['br1', { 'ipv4.routes': '10.0.0.0/24, x' }, '', 'Invalid value for network "br1" option "ipv4.routes": Item "x": invalid CIDR address: x'],
    ['br1', { 'ipv4.dhcp.ranges': 'foo' }, '', 'Invalid value for network "br1" option "ipv4.dhcp.ranges": Item "foo": IP range must contain start and end IP addresses'],
    ['br1', { 'bridge.mtu': '67' }, '', 'Invalid value for network "br1" option "bridge.mtu": Out of MTU range (1280-16384) "67"'],
    ['br1', { 'bridge.external_interfaces': 'a b' }, '', 'Invalid value for network "br1" option "bridge.external_interfaces": Invalid interface name "a b": Network interface contains invalid characters'],
    ['br1', { 'dns.mode': 'foo' }, '', 'Invalid value for network "br1" option "dns.mode": Invalid value "foo" (not one of [dynamic managed none])'],
    ['br1', { 'tunnel.abcdefghijkl.protocol': 'vxlan' }, '', 'Network name too long for tunnel interface: br1-abcdefghijkl'],
    ['br1', { 'fan.type': 'vxlan' }, '', "FAN configuration may only be set when in 'fan' mode"],
    ['br1', { 'security.acls': 'x' }, '', 'Network ACL "x" does not exist'],
    ['br1', { 'ipv4.dhcp.ranges': '10.5.5.10-10.5.5.15', 'ipv4.ovn.ranges': '10.5.5.3-10.5.5.12' }, '', 'The range specified in "ipv4.ovn.ranges" ("10.5.5.3-10.5.5.12") cannot overlap with "ipv4.dhcp.ranges"'],
  ] as [string, Record<string, string>, string, string][])('refuses %j %j %j', async (name, config, type, message) => {
    await expect(world.create(name, config, type)).rejects.toMatchObject({ kind: 'invalid', message });
    expect(world.names()).toEqual([]);
  });

  it('refuses a name that is taken, here or on the host', async () => {
    await world.create();

    await expect(world.create()).rejects.toMatchObject({ message: 'The network already exists' });
    await expect(world.create('eth0')).rejects.toMatchObject({ kind: 'conflict', message: 'Network interface "eth0" already exists' });
    expect(world.names()).toEqual(['br0']);
  });

  it('refuses bridges in projects with networks of their own', async () => {
    const request = { name: 'br0', description: '', config: {} };

    await expect(world.networks.create(isolated, { ...request, type: 'bridge' })).rejects.toThrow('Network type does not support non-default projects');
    await expect(world.networks.create(isolated, { ...request, type: '' })).rejects.toThrow('Network type "ovn" is not supported');
  });

  it('leaves nothing when the host refuses', async () => {
    world.faults.fail('network.ensureNetwork');
    await expect(world.create()).rejects.toThrow('Injected failure');

    expect([world.names(), [...world.host.bridges.keys()], world.seen]).toEqual([[], [], []]);
  });

  it('is undone at the next start when the daemon died half way', async () => {
    world.faults.before('network.ensureNetwork', () => new Promise(() => {}));
    void world.create();
    await expect.poll(() => world.names()).toEqual(['br0']);
    world.faults.clear();
    world.host.bridges.set('br0', { network: { name: 'br0', type: 'bridge', config: {} }, up: true, leases: [], staticLeases: new Map() });
    world.restart();
    await world.networks.ensureAll();

    expect([world.names(), [...world.host.bridges.keys()]]).toEqual([[], []]);
  });
});

describe('update', () => {
  beforeEach(() => world.create('br0', { 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'none', 'user.a': 'b' }));

  const configOf = async (): Promise<Record<string, string>> => (await world.views.get('default', 'br0')).network.config;

  it('replaces or merges, and changes the host', async () => {
    await world.networks.update(ctx, 'br0', { config: { 'ipv4.nat': 'true', 'user.a': '' }, description: 'hi' }, { merge: true, ifMatch: undefined });
    expect(await configOf()).toEqual({ 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'none', 'ipv4.nat': 'true' });
    expect(world.host.bridges.get('br0')?.network.config).toMatchObject({ 'ipv4.nat': 'true', 'volatile.bridge.hwaddr': expect.any(String) });

    await world.networks.update(ctx, 'br0', { config: {} }, { merge: false, ifMatch: undefined });
    expect((await world.views.get('default', 'br0')).network).toMatchObject({ config: {}, description: '' });
  });

  it('chooses a subnet when asked, without translating it', async () => {
    await world.networks.update(ctx, 'br0', { config: { 'ipv4.address': 'auto' } }, { merge: false, ifMatch: undefined });

    expect(await configOf()).toEqual({ 'ipv4.address': expect.stringMatching(/^10\.\d+\.\d+\.1\/24$/) });
  });

  it('leaves the host alone for what does not concern it', async () => {
    const calls = world.faults.callsOf('network.ensureNetwork');
    world.faults.before('network.ensureNetwork', async () => { throw notFound('not to be called'); });
    await world.networks.update(ctx, 'br0', { config: { 'user.x': 'y' } }, { merge: true, ifMatch: undefined });

    expect(world.faults.callsOf('network.ensureNetwork')).toBe(calls);
  });

  it('puts the host back when it refuses', async () => {
    world.faults.fail('network.ensureNetwork');
    await expect(world.networks.update(ctx, 'br0', { config: { 'ipv4.address': '10.9.9.1/24' } }, { merge: true, ifMatch: undefined })).rejects.toThrow('Injected');

    expect((await configOf())['ipv4.address']).toBe('10.1.2.1/24');
    expect(world.host.bridges.get('br0')?.network.config['ipv4.address']).toBe('10.1.2.1/24');
  });

  it('honours If-Match', async () => {
    const { etag } = await world.views.get('default', 'br0');
    const change = (ifMatch: string): Promise<void> => world.networks.update(ctx, 'br0', { config: { 'user.x': 'y' } }, { merge: true, ifMatch });

    await change(etagOf(etag));
    await expect(change(etagOf(etag))).rejects.toMatchObject({ kind: 'precondition' });
  });

  it('knows only managed networks', async () => {
    await expect(world.networks.update(ctx, 'eth0', {}, { merge: true, ifMatch: undefined })).rejects.toMatchObject({ kind: 'not-found', message: 'Failed loading network: Network not found' });
  });
});

describe('rename and delete', () => {
  beforeEach(() => world.create());

  const use = (): void => world.usage.register({ usedBy: (_sql, { name }) => (name === 'br0' ? ['/1.0/instances/c1'] : []), nics: () => [] });

  it('renames row and bridge', async () => {
    await world.networks.rename(ctx, 'br0', 'br1');

    expect([world.names(), [...world.host.bridges.keys()]]).toEqual([['br1'], ['br1']]);
    expect((await world.views.get('default', 'br1')).network.status).toBe('Created');
    expect(world.seen.at(-1)).toBe('network-renamed /1.0/networks/br1');
  });

  it('undoes a rename that failed or was cut short', async () => {
    world.faults.fail('network.renameNetwork');
    await expect(world.networks.rename(ctx, 'br0', 'br1')).rejects.toThrow('Injected');
    expect([world.names(), [...world.host.bridges.keys()]]).toEqual([['br0'], ['br0']]);

    world.faults.before('network.renameNetwork', () => new Promise(() => {}));
    void world.networks.rename(ctx, 'br0', 'br1');
    await expect.poll(() => world.networks.get('default', 'br0').config['volatile.rename.to']).toBe('br1');
    world.faults.clear();
    await world.host.renameNetwork({ name: 'br0', type: 'bridge', config: {} }, 'br1');
    world.restart();
    await world.networks.ensureAll();

    expect([world.names(), [...world.host.bridges.keys()]]).toEqual([['br0'], ['br0']]);
    expect(world.networks.get('default', 'br0').config['volatile.rename.to']).toBeUndefined();
  });

  it('refuses both while in use', async () => {
    use();

    await expect(world.networks.delete(ctx, 'br0')).rejects.toMatchObject({ kind: 'invalid', message: 'The network is currently in use' });
    await expect(world.networks.rename(ctx, 'br0', 'br1')).rejects.toMatchObject({ kind: 'invalid', message: 'Network is currently in use' });
    expect((await world.views.get('default', 'br0')).network.used_by).toEqual(['/1.0/instances/c1']);
  });

  it('refuses while a profile uses it', async () => {
    await world.db.runner.run(ctx, (tx) => tx.sql.run("UPDATE profiles SET devices = ? WHERE name = 'default'", JSON.stringify({ eth0: { type: 'nic', network: 'br0' } })));

    await expect(world.networks.delete(ctx, 'br0')).rejects.toThrow('The network is currently in use');
    expect((await world.views.get('default', 'br0')).network.used_by).toEqual(['/1.0/profiles/default']);
  });

  it('refuses names that are taken or none', async () => {
    await world.create('br1');

    await expect(world.networks.rename(ctx, 'br0', 'br1')).rejects.toMatchObject({ kind: 'conflict', message: 'Network "br1" already exists' });
    await expect(world.networks.rename(ctx, 'br0', '')).rejects.toThrow('New network name not provided');
  });

  it('deletes row and bridge', async () => {
    await world.networks.delete(ctx, 'br0');

    expect([world.names(), [...world.host.bridges.keys()]]).toEqual([[], []]);
    await expect(world.networks.delete(ctx, 'br0')).rejects.toThrow('Failed loading network: Network not found');
  });

  it('stays when the host cannot, and is finished at the next start when cut short', async () => {
    world.faults.fail('network.removeNetwork');
    await expect(world.networks.delete(ctx, 'br0')).rejects.toThrow('Failed deleting network "br0"');
    expect((await world.views.get('default', 'br0')).network.status).toBe('Created');

    world.faults.before('network.removeNetwork', () => new Promise(() => {}));
    void world.networks.delete(ctx, 'br0');
    await expect.poll(async () => (await world.views.get('default', 'br0')).network.status).toBe('Pending');
    world.faults.clear();
    world.restart();
    await world.networks.ensureAll();
    expect([world.names(), [...world.host.bridges.keys()]]).toEqual([[], []]);
  });
});

describe('keeping networks up', () => {
  it('brings them up at start and restores what was taken down', async () => {
    await world.create();
    world.host.bridges.clear();
    world.restart();
    await world.networks.ensureAll();
    expect([...world.host.bridges.keys()]).toEqual(['br0']);

    world.host.bridges.clear();
    await world.networks.restore();
    expect([...world.host.bridges.keys()]).toEqual(['br0']);
  });
});

describe('views', () => {
  it('lists managed networks first, then interfaces of the host', async () => {
    await world.create();

    expect((await world.views.list('shared')).map(({ name, managed }) => `${name} ${managed}`)).toEqual(['br0 true', 'lo false', 'eth0 false']);
    expect(await world.views.list('web')).toEqual([]);
    expect((await world.views.get('default', 'lo')).network).toEqual({ config: {}, description: '', name: 'lo', type: 'loopback', used_by: [], managed: false, status: '', locations: null });
    expect((await world.views.get('default', 'eth0')).network).toMatchObject({ type: 'physical', used_by: null });
    await expect(world.views.get('web', 'lo')).rejects.toMatchObject({ kind: 'not-found', message: 'Network not found' });
    await expect(world.views.get('default', 'nope')).rejects.toMatchObject({ kind: 'not-found', message: 'Network not found' });
    await expect(world.views.list('nope')).rejects.toThrow('Failed to load project "nope": Project not found');
  });

  it('shows state', async () => {
    await world.create('br0', { 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'none' });

    expect(await world.views.state('default', 'br0')).toMatchObject({
      addresses: [{ family: 'inet', address: '10.1.2.1', netmask: '24', scope: 'global' }], mtu: 1500, state: 'up', type: 'broadcast', bond: null, vlan: null, ovn: null,
      bridge: { stp: false, forward_delay: 1500 },
    });
    await expect(world.views.state('default', 'nope')).rejects.toMatchObject({ kind: 'not-found', message: 'Network interface "nope" not found' });
  });

  it('lists leases: gateways, what is configured, what DHCP gave', async () => {
    await world.create('br0', { 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'fd42:b736:a65b:65c::1/64' });
    const nic = { project: 'default', instance: 'c1', device: 'eth0', hwaddr: '00:16:3e:8a:f6:be', ipv4Address: '10.1.2.50', ipv6Address: '', routes: [], location: 'none' };
    world.usage.register({ usedBy: () => [], nics: () => [nic] });
    world.host.bridges.get('br0')!.leases.push(
      { hostname: 'c1', hwaddr: nic.hwaddr, address: '10.1.2.50', type: 'dynamic' },
      { hostname: 'c1', hwaddr: nic.hwaddr, address: '10.1.2.99', type: 'dynamic' },
      { hostname: 'other', hwaddr: '00:16:3e:00:00:09', address: '10.1.2.98', type: 'dynamic' },
    );

    expect(await world.views.leases('default', 'br0')).toEqual([
      { hostname: 'br0.gw', hwaddr: '', address: '10.1.2.1', type: 'gateway', location: '' },
      { hostname: 'br0.gw', hwaddr: '', address: 'fd42:b736:a65b:65c::1', type: 'gateway', location: '' },
      { hostname: 'c1', hwaddr: nic.hwaddr, address: '10.1.2.50', type: 'static', location: 'none' },
      { hostname: 'c1', hwaddr: nic.hwaddr, address: 'fd42:b736:a65b:65c:216:3eff:fe8a:f6be', type: 'dynamic', location: 'none' },
      { hostname: 'c1', hwaddr: nic.hwaddr, address: '10.1.2.99', type: 'dynamic', location: 'none' },
    ]);
    expect(await world.views.leases('shared', 'br0')).toEqual([]);
    await expect(world.views.leases('default', 'lo')).rejects.toThrow('Failed loading network: Network not found');
  });
});

describe('nicNetwork', () => {
  it('finds what is behind a NIC', async () => {
    await world.create('br0', { 'ipv4.address': '10.1.2.1/24', 'ipv6.address': 'none' });

    expect(world.networks.nicNetwork('default', { type: 'nic', network: 'br0' }, 'eth0')).toMatchObject({ device: 'eth0', parent: 'br0', network: 'br0', networkConfig: { 'ipv4.address': '10.1.2.1/24' } });
    expect(world.networks.nicNetwork('default', { type: 'nic', nictype: 'bridged', parent: 'br0' })).toMatchObject({ parent: 'br0', network: 'br0' });
    expect(world.networks.nicNetwork('default', { type: 'nic', nictype: 'macvlan', parent: 'eth0' })).toMatchObject({ parent: 'eth0', network: '', networkConfig: {} });
    expect(() => world.networks.nicNetwork('default', { type: 'nic', network: 'nope' })).toThrow('Failed to load network "nope" for project "default": Network not found');
  });
});
