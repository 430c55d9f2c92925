import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { randomHex, SilentLogger, StateDirectory } from '#kernel';
import { CommandRunner, Dnsmasq, Ip, Nft } from '#host';
import type { AclRule, NetworkSpec, NicFilter } from '#ports';
import { NftFirewall } from '#drivers/firewall-nft';
import { BridgeNetworkDriver } from '#drivers/network-bridge';

const commands = new CommandRunner();
const suffix = randomHex(3);
const subnet = `10.${200 + Math.floor(Math.random() * 50)}.${Math.floor(Math.random() * 250)}`;
const bridge = `rn${suffix}`;
const client = `rnc${suffix}`;
const hwaddr = '00:16:3e:00:00:07';
const network: NetworkSpec = {
  name: bridge, type: 'bridge',
  config: { 'ipv4.address': `${subnet}.1/24`, 'ipv4.nat': 'true', 'ipv6.address': `fd42:${suffix.slice(0, 4)}::1/64`, 'ipv6.nat': 'true', 'volatile.bridge.hwaddr': '00:16:3e:00:00:01' },
};

const stateId = randomHex(8);
let state: StateDirectory;
let driver: BridgeNetworkDriver;
let firewall: NftFirewall;

function makeState(): StateDirectory {
  const root = mkdtempSync(`${tmpdir()}/roost-networks-`);
  chmodSync(root, 0o711);
  return new StateDirectory(root);
}

function makeDriver(stateId: string, state: StateDirectory): BridgeNetworkDriver {
  const logger = new SilentLogger();
  const firewall = new NftFirewall({ nft: new Nft(commands), state, stateId, logger });
  return new BridgeNetworkDriver({ ip: new Ip(commands), dnsmasq: new Dnsmasq(commands), firewall, state, stateId, logger });
}

async function run(...argv: string[]): Promise<string> {
  return (await commands.run({ argv })).stdout;
}

const inClient = (...argv: string[]): Promise<string> => run('ip', 'netns', 'exec', client, ...argv);
const rules = (): Promise<string> => run('nft', 'list', 'table', 'inet', 'roost');
const pidOf = (): number => Number(readFileSync(`${state.network(bridge)}/dnsmasq.pid`, 'utf8'));

beforeAll(async () => {
  state = makeState();
  driver = makeDriver(stateId, state);
  firewall = new NftFirewall({ nft: new Nft(commands), state, stateId, logger: new SilentLogger() });
  await driver.ensureNetwork(network);
  await run('ip', 'netns', 'add', client);
  await run('ip', 'link', 'add', `rv${suffix}`, 'type', 'veth', 'peer', 'name', 'eth0', 'address', hwaddr, 'netns', client);
  await run('ip', 'link', 'set', `rv${suffix}`, 'master', bridge, 'up');
  await inClient('ip', 'link', 'set', 'eth0', 'up');
}, 30_000);

afterAll(async () => {
  await driver?.removeNetwork(network);
  await commands.run({ argv: ['ip', 'netns', 'delete', client], okExitCodes: [0, 1] });
  rmSync(state.root, { recursive: true, force: true });
}, 30_000);

/** Runs a DHCP client once; prints the address it got. */
async function dhcp(...extra: string[]): Promise<string> {
  const script = `${state.root}/udhcpc`;
  writeFileSync(script, '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip addr replace "$ip/24" dev "$interface"; echo "ADDRESS $ip"\n', { mode: 0o755 });
  const output = await inClient('busybox', 'udhcpc', '-q', '-n', '-f', '-i', 'eth0', '-t', '8', '-T', '1', '-s', script, ...extra);
  return /ADDRESS (\S+)/.exec(output)?.[1] ?? '';
}

describe('a managed bridge', () => {
  it('gives a client an address and knows the lease', async () => {
    const address = await dhcp('-x', 'hostname:guest');

    expect(address).toMatch(new RegExp(`^${subnet.replaceAll('.', '\\.')}\\.`));
    const leases = await driver.listLeases(network);
    expect(leases).toContainEqual({ hostname: 'guest', hwaddr, address, type: 'dynamic' });
  }, 30_000);

  it('gives the reserved address, resolves the name, and takes the lease back when the NIC goes', async () => {
    const lease = { project: 'default', instance: 'c1', device: 'eth0', hwaddr, ipv4Address: `${subnet}.77`, ipv6Address: '' };
    await driver.setStaticLease(bridge, lease);

    expect(await dhcp()).toBe(`${subnet}.77`);
    const answer = await inClient('busybox', 'nslookup', 'c1.lxd', `${subnet}.1`).catch(String);
    expect(answer).toContain(`${subnet}.77`);

    await driver.setStaticLease(bridge, { ...lease, hwaddr: '', ipv4Address: '' });
    await expect.poll(() => driver.listLeases(network), { timeout: 5000 }).toEqual([]);
    expect(existsSync(`${state.network(bridge)}/dnsmasq.hosts/c1.eth0`)).toBe(false);
  }, 30_000);

  it('tells about itself', async () => {
    const [found] = await driver.describeInterfaces(bridge);

    expect(found).toMatchObject({
      name: bridge, type: 'broadcast', state: 'up', kind: 'bridge', mtu: 1500, hwaddr: '00:16:3e:00:00:01',
      bridge: { id: '8000.00163e000001', stp: false, forwardDelay: 1500, upperDevices: [`rv${suffix}`] },
    });
    expect(found?.addresses).toContainEqual({ family: 'inet', address: `${subnet}.1`, netmask: '24', scope: 'global' });
    expect(await driver.listUsedSubnets()).toContain(`${subnet}.0/24`);
  });

  it('has rules in the family of chains', async () => {
    expect(await rules()).toContain(`ip saddr ${subnet}.0/24 ip daddr != ${subnet}.0/24 masquerade`);
    for (const kind of ['pstrt', 'fwd', 'in', 'out']) expect(await rules()).toContain(`chain ${kind}.${bridge} {`);
  });
});

describe('restoring', () => {
  it('finds nothing to do on a healthy network', async () => {
    expect(await driver.reconcileNetworks([network])).toEqual([]);
  });

  it('puts flushed rules back', async () => {
    await run('nft', 'flush', 'chain', 'inet', 'roost', `pstrt.${bridge}`);
    await run('nft', 'delete', 'chain', 'inet', 'roost', `pstrt.${bridge}`);

    expect(await driver.reconcileNetworks([network])).toEqual([`${bridge}: firewall rules`]);
    expect(await rules()).toContain(`chain pstrt.${bridge} {`);
    expect(await driver.reconcileNetworks([network])).toEqual([]);
  });

  it('starts a killed dnsmasq again', async () => {
    process.kill(pidOf(), 'SIGKILL');
    await expect.poll(async () => (await driver.reconcileNetworks([network])).length, { timeout: 5000 }).toBe(1);

    expect(await dhcp()).not.toBe('');
    expect(await driver.reconcileNetworks([network])).toEqual([]);
  }, 20_000);

  it('puts back a lost address', async () => {
    await run('ip', 'address', 'delete', `${subnet}.1/24`, 'dev', bridge);

    expect(await driver.reconcileNetworks([network])).toEqual([`${bridge}: addresses`]);
  });

  it('makes a deleted bridge again, with the cables of instances in it', async () => {
    await driver.reconcileNetworks([network]);
    await run('ip', 'link', 'delete', bridge);

    expect(await driver.reconcileNetworks([network])).toEqual([`${bridge}: link`]);
    expect((await driver.describeInterfaces(bridge))[0]?.bridge?.upperDevices).toEqual([`rv${suffix}`]);
    expect(await dhcp()).not.toBe('');
  }, 20_000);

  it('leaves a dnsmasq alone that another agent of the same state finds', async () => {
    const before = pidOf();
    await makeDriver(stateId, state).ensureNetwork(network);

    expect(pidOf()).toBe(before);
  });

  it('starts dnsmasq anew when its configuration changed', async () => {
    const before = pidOf();
    await driver.ensureNetwork({ ...network, config: { ...network.config, 'raw.dnsmasq': 'log-queries' } });
    expect(pidOf()).not.toBe(before);
    await driver.ensureNetwork(network);
  });
});

describe('forwards and access lists', () => {
  const outside = `rno${suffix}`;
  const cable = `rw${suffix}`;
  const other = `10.135.${Math.floor(Math.random() * 250)}`;
  const listen = `${other}.77`;
  const target = `${subnet}.9`;
  const servers: ChildProcess[] = [];
  const rule = (more: Partial<AclRule>): AclRule => ({
    direction: 'ingress', action: 'allow', source: [], destination: [], protocol: '', sourcePorts: [], destinationPorts: [], icmpType: '', icmpCode: '', logPrefix: '', ...more,
  });
  const forwarded = (more: Partial<NetworkSpec> = {}): NetworkSpec => ({
    ...network, ...more,
    forwards: [{ listenAddress: listen, targetAddress: '', ports: [
      { protocol: 'tcp', listenPorts: [80, 81], targetAddress: target, targetPorts: [8080, 8081] }, { protocol: 'tcp', listenPorts: [8080], targetAddress: target, targetPorts: [] },
    ] }],
  });
  const serve = (room: string, port: number, answer: string): void => {
    servers.push(spawn('ip', ['netns', 'exec', room, 'busybox', 'nc', '-ll', '-p', `${port}`, '-e', '/bin/echo', answer], { stdio: 'ignore' }));
  };
  /** What a server says, or why it says nothing. */
  const ask = (room: string, address: string, port: number): string => {
    const prefix = room === '' ? [] : ['ip', 'netns', 'exec', room];
    const { stdout, stderr } = spawnSync('sh', ['-c', `${[...prefix, 'busybox', 'nc', '-w', '3', address, `${port}`].join(' ')} </dev/null`], { encoding: 'utf8' });
    return stdout.trim() || stderr.trim();
  };

  beforeAll(async () => {
    await run('ip', 'netns', 'add', outside);
    await run('ip', 'link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
    await run('ip', 'address', 'add', `${other}.1/24`, 'dev', cable);
    // The address that is forwarded is the host's here: without it, whoever stands outside would ask its neighbours.
    await run('ip', 'address', 'add', `${listen}/32`, 'dev', cable);
    await run('ip', 'link', 'set', cable, 'up');
    await run('ip', 'netns', 'exec', outside, 'ip', 'address', 'add', `${other}.2/24`, 'dev', 'eth0');
    await run('ip', 'netns', 'exec', outside, 'ip', 'link', 'set', 'eth0', 'up');
    await run('ip', 'netns', 'exec', outside, 'ip', 'route', 'add', 'default', 'via', `${other}.1`);
    await inClient('ip', '-4', 'address', 'flush', 'dev', 'eth0');
    await inClient('ip', 'address', 'add', `${target}/24`, 'dev', 'eth0');
    await inClient('ip', 'route', 'replace', 'default', 'via', `${subnet}.1`);
    await inClient('ip', 'link', 'set', 'lo', 'up');
    for (const port of [8080, 8081]) serve(client, port, `inside${port}`);
    serve(outside, 9090, 'outside');
    await vi.waitFor(() => expect(ask('', target, 8081)).toBe('inside8081'), { timeout: 10_000 });
  }, 30_000);

  afterAll(async () => {
    for (const server of servers) server.kill('SIGKILL');
    await driver.ensureNetwork(network);
    await commands.run({ argv: ['ip', 'netns', 'delete', outside], okExitCodes: [0, 1] });
    await commands.run({ argv: ['ip', 'link', 'delete', cable], okExitCodes: [0, 1] });
  }, 30_000);

  it('send packets on from outside, from the host and from the instance itself', async () => {
    expect(ask(outside, listen, 80)).not.toContain('inside');
    await driver.ensureNetwork(forwarded());

    for (const room of [outside, '', client]) {
      expect([ask(room, listen, 80), ask(room, listen, 81), ask(room, listen, 8080)], room).toEqual(['inside8080', 'inside8081', 'inside8080']);
    }
    expect(ask(outside, listen, 82)).not.toContain('inside');
  }, 30_000);

  it('come back after a flush, and go with the specification', async () => {
    await run('nft', 'flush', 'chain', 'inet', 'roost', `fwdprert.${bridge}`);
    expect(await driver.reconcileNetworks([forwarded()])).toEqual([`${bridge}: firewall rules`]);
    expect(ask(outside, listen, 81)).toBe('inside8081');

    await driver.ensureNetwork(network);
    expect(ask(outside, listen, 81)).not.toContain('inside');
    expect(await rules()).not.toContain(`fwdprert.${bridge}`);
  }, 30_000);

  it('let through what a list allows, in both directions, and nothing else', async () => {
    expect([ask(client, `${other}.2`, 9090), ask(outside, target, 8080)]).toEqual(['outside', 'inside8080']);
    const defaults = [rule({ direction: 'egress', action: 'reject' }), rule({ action: 'drop', logPrefix: `${bridge}-ingress` })];
    await driver.ensureNetwork(forwarded({ acl: [rule({ protocol: 'tcp', source: [`${other}.0/25`, 'fd00::/8'], destinationPorts: ['8080'] }), ...defaults] }));

    expect(ask(outside, target, 8080)).toBe('inside8080');
    expect(ask(outside, listen, 80)).toBe('inside8080');
    expect(ask(outside, target, 8081)).not.toContain('inside');
    expect(ask('', target, 8081)).not.toContain('inside');
    expect(ask(client, `${other}.2`, 9090)).toContain('refused');
    expect(await dhcp()).toMatch(/^10\./);
    await inClient('ip', 'address', 'replace', `${target}/24`, 'dev', 'eth0');
  }, 60_000);

  it('are put back when somebody took the rules a list is made of', async () => {
    const filtered = { ...network, acl: [rule({ direction: 'egress', action: 'reject' }), rule({ action: 'allow' })] };
    await driver.ensureNetwork(filtered);
    await run('nft', 'flush', 'chain', 'inet', 'roost', `acl.${bridge}`);
    expect(await driver.reconcileNetworks([filtered])).toEqual([`${bridge}: firewall rules`]);
    expect(ask(client, `${other}.2`, 9090)).toContain('refused');

    await driver.ensureNetwork(network);
    expect(ask(client, `${other}.2`, 9090)).toBe('outside');
    expect(await rules()).not.toContain(`acl.${bridge}`);
  }, 30_000);
});

describe('filters of a NIC', () => {
  const reaches = async (from: string): Promise<boolean> =>
    (await commands.run({ argv: ['ip', 'netns', 'exec', client, 'busybox', 'ping', '-c', '1', '-W', '1', '-I', from, `${subnet}.1`], okExitCodes: [0, 1] })).exitCode === 0;
  const filter: NicFilter = { instance: `c${suffix}`, device: 'eth0', hostName: `rv${suffix}`, hwaddr, ipv4Addresses: [`${subnet}.77`], ipv6Addresses: [`fd42:${suffix.slice(0, 4)}::77`] };

  it('lets it speak only as itself, also after a flush', async () => {
    for (const host of [77, 88]) await inClient('ip', 'address', 'replace', `${subnet}.${host}/24`, 'dev', 'eth0');
    expect(await reaches(`${subnet}.88`)).toBe(true);

    await firewall.ensureNicFilter(filter);
    expect([await reaches(`${subnet}.77`), await reaches(`${subnet}.88`)]).toEqual([true, false]);

    for (const kind of ['in', 'fwd']) await run('nft', 'delete', 'chain', 'bridge', 'roost', `${kind}.c${suffix}.eth0`);
    expect(await reaches(`${subnet}.88`)).toBe(true);
    expect(await driver.reconcileNetworks([network])).toEqual([`c${suffix}.eth0: NIC filter`]);
    expect(await reaches(`${subnet}.88`)).toBe(false);
  }, 20_000);

  it('belongs to one daemon', async () => {
    const other = makeState();
    const stranger = new NftFirewall({ nft: new Nft(commands), state: other, stateId: randomHex(8), logger: new SilentLogger() });
    await expect(stranger.ensureNicFilter(filter)).rejects.toMatchObject({ kind: 'conflict' });
    await stranger.removeNicFilter(filter.instance, filter.device);
    expect(await firewall.restoreNicFilters()).toEqual([]);
    rmSync(other.root, { recursive: true });

    await firewall.removeNicFilter(filter.instance, filter.device);
    expect(await reaches(`${subnet}.88`)).toBe(true);
  }, 20_000);
});

describe('ports', () => {
  it('plugs tunnels and interfaces of the host in, and lets them go', async () => {
    const port = `rp${suffix}`;
    await run('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', `rq${suffix}`);
    const withPorts = {
      ...network, config: { ...network.config, 'bridge.external_interfaces': port, 'ipv4.routes': '198.51.100.0/24', 'tunnel.a.protocol': 'vxlan', 'tunnel.a.local': '127.0.0.1', 'tunnel.a.remote': '127.0.0.2', 'tunnel.a.id': String(Number.parseInt(suffix, 16)) },
    };
    const ports = async (): Promise<string[]> => (await driver.describeInterfaces(bridge))[0]?.bridge?.upperDevices.sort() ?? [];
    try {
      await driver.ensureNetwork(withPorts);
      expect(await ports()).toEqual([`${bridge}-a`, port, `rv${suffix}`].sort());
      expect(await driver.reconcileNetworks([withPorts])).toEqual([]);
      expect(await run('ip', 'route', 'show', 'dev', bridge)).toContain('198.51.100.0/24');

      await driver.ensureNetwork(network);
      expect(await ports()).toEqual([`rv${suffix}`]);
      expect(await run('ip', 'route', 'show', 'dev', bridge)).not.toContain('198.51.100.0/24');
    } finally {
      await run('ip', 'link', 'delete', port);
    }
  }, 20_000);

  it('refuses an interface the host itself uses', async () => {
    const used = { ...network, config: { ...network.config, 'bridge.external_interfaces': 'eth0' } };
    await expect(driver.ensureNetwork(used)).rejects.toMatchObject({ kind: 'invalid', message: 'Only unconfigured network interfaces can be bridged' });
  });
});

describe('renaming', () => {
  it('keeps address and leases under the new name', async () => {
    const other = { ...network, name: `rr${suffix}`, config: { 'ipv4.address': `${subnet.replace(/\.\d+$/, '.252')}.1/24`, 'volatile.bridge.hwaddr': '00:16:3e:00:00:02' } };
    const renamed = { ...other, name: `rs${suffix}` };
    await driver.ensureNetwork(other);
    await driver.setStaticLease(other.name, { project: 'default', instance: 'c1', device: 'eth0', hwaddr: '00:16:3e:00:00:09', ipv4Address: '', ipv6Address: '' });
    await driver.renameNetwork(other, renamed.name);
    await driver.renameNetwork(other, renamed.name);

    expect(await driver.reconcileNetworks([renamed])).toEqual([]);
    expect(existsSync(`${state.network(renamed.name)}/dnsmasq.hosts/c1.eth0`)).toBe(true);
    expect(existsSync(state.network(other.name))).toBe(false);
    expect(await rules()).not.toContain(`.${other.name} `);
    await driver.removeNetwork(renamed);
  }, 20_000);
});

describe('what is not ours', () => {
  it('is never taken over', async () => {
    const other = makeState();
    const stranger = makeDriver(randomHex(8), other);
    await expect(stranger.ensureNetwork(network)).rejects.toMatchObject({ kind: 'conflict', message: `Network interface "${bridge}" already exists` });
    await stranger.removeNetwork(network);
    rmSync(other.root, { recursive: true });

    expect(await driver.reconcileNetworks([network])).toEqual([]);
  });
});

describe('removal', () => {
  it('leaves nothing', async () => {
    const other = { ...network, name: `ro${suffix}`, config: { 'ipv4.address': `${subnet.replace(/\.\d+$/, '.251')}.1/24`, 'ipv4.nat': 'true' } };
    await driver.ensureNetwork(other);
    const pid = Number(readFileSync(`${state.network(other.name)}/dnsmasq.pid`, 'utf8'));

    await driver.removeNetwork(other);
    await driver.removeNetwork(other);

    expect(existsSync(state.network(other.name))).toBe(false);
    // Dead, though perhaps not yet reaped by init.
    expect(existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '').toBe('');
    expect(await rules()).not.toContain(other.name);
    await expect(driver.describeInterfaces(other.name)).rejects.toMatchObject({ kind: 'not-found' });
  });
});
