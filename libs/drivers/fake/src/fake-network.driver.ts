import { conflict, invalid, notFound } from '#kernel';
import { NetworkDriver, type InterfaceState, type Lease, type NetworkSpec, type StaticLease } from '#ports';
import { FakeFaults } from './fake-faults.js';

const noCounters = {
  bytesReceived: 0, bytesSent: 0, packetsReceived: 0, packetsSent: 0, errorsReceived: 0, errorsSent: 0, packetsDroppedInbound: 0, packetsDroppedOutbound: 0,
};

/** A bridge of the fake host. */
export interface FakeBridge {
  network: NetworkSpec;
  up: boolean;
  leases: Lease[];
  /** By `PROJECT/INSTANCE/DEVICE`. */
  staticLeases: Map<string, StaticLease>;
}

/** Networks in memory. `lo` and `eth0` belong to the host and are never taken over. */
export class FakeNetworkDriver extends NetworkDriver {
  readonly bridges = new Map<string, FakeBridge>();
  readonly hostInterfaces = new Map<string, InterfaceState>([
    ['lo', interfaceState('lo', 'loopback', 'loopback', 65536, ['127.0.0.1/8'])],
    ['eth0', interfaceState('eth0', 'broadcast', 'physical', 1500, ['192.0.2.2/24'])],
  ]);

  constructor(private readonly faults: FakeFaults = new FakeFaults()) { super(); }

  override async ensureNetwork(network: NetworkSpec): Promise<void> {
    await this.faults.enter('network.ensureNetwork');
    const { parent = '' } = network.config;
    if (network.type !== 'bridge' && !this.hostInterfaces.has(parent)) throw invalid(`Parent interface "${parent}" not found`);
    if (network.type === 'bridge' && this.hostInterfaces.has(network.name)) throw conflict(`Network interface "${network.name}" already exists`);
    const bridge = this.bridges.get(network.name);
    this.bridges.set(network.name, { leases: bridge?.leases ?? [], staticLeases: bridge?.staticLeases ?? new Map(), network, up: true });
  }

  override async reconcileNetworks(networks: readonly NetworkSpec[]): Promise<string[]> {
    await this.faults.enter('network.reconcileNetworks');
    const down = networks.filter(({ name }) => !this.bridges.get(name)?.up);
    for (const network of down) await this.ensureNetwork(network);
    return down.map(({ name }) => `${name}: link`);
  }

  override async removeNetwork({ name }: NetworkSpec): Promise<void> {
    await this.faults.enter('network.removeNetwork');
    this.bridges.delete(name);
  }

  override async stopNetwork({ name }: NetworkSpec): Promise<void> {
    await this.faults.enter('network.stopNetwork');
    const bridge = this.bridges.get(name);
    if (bridge) bridge.up = false;
  }

  override async renameNetwork(network: NetworkSpec, newName: string): Promise<void> {
    await this.faults.enter('network.renameNetwork');
    const bridge = this.bridges.get(network.name);
    if (bridge && (this.bridges.has(newName) || this.hostInterfaces.has(newName))) throw conflict(`Network interface "${newName}" already exists`);
    this.bridges.delete(network.name);
    if (bridge) this.bridges.set(newName, bridge);
    await this.ensureNetwork({ ...network, name: newName });
  }

  override async setStaticLease(networkName: string, lease: StaticLease): Promise<void> {
    await this.faults.enter('network.setStaticLease');
    const bridge = this.bridges.get(networkName);
    const key = `${lease.project}/${lease.instance}/${lease.device}`;
    if (!bridge) return;
    const before = bridge.staticLeases.get(key);
    if (before && before.hwaddr !== lease.hwaddr) bridge.leases = bridge.leases.filter(({ hwaddr }) => hwaddr !== before.hwaddr);
    if (lease.hwaddr === '') bridge.staticLeases.delete(key);
    else bridge.staticLeases.set(key, lease);
  }

  override async listLeases({ name }: NetworkSpec): Promise<Lease[]> {
    await this.faults.enter('network.listLeases');
    return [...(this.bridges.get(name)?.leases ?? [])];
  }

  override async describeInterfaces(name: string): Promise<InterfaceState[]> {
    await this.faults.enter('network.describeInterfaces');
    const bridges = [...this.bridges.values()].filter(({ up, network }) => up && network.type === 'bridge').map(({ network }) => bridgeState(network));
    const all = [...this.hostInterfaces.values(), ...bridges];
    const found = name === '' ? all : all.filter((link) => link.name === name);
    if (name !== '' && found.length === 0) throw notFound(`Network interface "${name}" not found`);
    return found;
  }

  override async listUsedSubnets(): Promise<string[]> {
    await this.faults.enter('network.listUsedSubnets');
    return (await this.describeInterfaces('')).flatMap(({ addresses }) => addresses.map(({ address, netmask }) => `${address}/${netmask}`));
  }
}

function bridgeState({ name, config }: NetworkSpec): InterfaceState {
  const addresses = [config['ipv4.address'], config['ipv6.address']].filter((address) => address !== undefined && address !== 'none');
  const hwaddr = config['bridge.hwaddr'] ?? config['volatile.bridge.hwaddr'] ?? '00:16:3e:00:00:01';
  return {
    ...interfaceState(name, 'broadcast', 'bridge', Number(config['bridge.mtu'] ?? 1500), addresses as string[]), hwaddr,
    bridge: { id: `8000.${hwaddr.replaceAll(':', '')}`, stp: false, forwardDelay: 1500, vlanDefault: 1, vlanFiltering: false, upperDevices: [] },
  };
}

function interfaceState(name: string, type: string, kind: string, mtu: number, cidrs: readonly string[]): InterfaceState {
  return {
    name, type, kind, mtu, state: 'up', hwaddr: '', hostName: '', counters: noCounters, bridge: null,
    addresses: cidrs.map((cidr) => {
      const [address = '', netmask = ''] = cidr.split('/');
      return { family: address.includes(':') ? 'inet6' : 'inet', address, netmask, scope: type === 'loopback' ? 'local' : 'global' };
    }),
  };
}
