import { Injectable } from '@nestjs/common';
import type { Network, NetworkLease, NetworkState } from '#api-types';
import { AppError, notFound, wrap } from '#kernel';
import { NetworkDriver, type InterfaceState } from '#ports';
import { Database } from '#platform/database';
import { NetworksRepository, type NetworkRow } from './data/networks.repository.js';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkUsage } from './network-usage.registry.js';
import { NetworkUsers } from './network-users.service.js';
import { listLeases } from './rules/lease-list.rules.js';
import { visibleConfig } from './rules/network-config.rules.js';
import { etagOfNetwork, specOf } from './networks.service.js';

/** What the API shows of networks: managed ones from rows, other interfaces of the host as they are. */
@Injectable()
export class NetworkViews {
  constructor(
    private readonly database: Database,
    private readonly networks: NetworksRepository,
    private readonly users: NetworkUsers,
    private readonly usage: NetworkUsage,
    private readonly projects: NetworkProjects,
    private readonly driver: NetworkDriver,
  ) {}

  /** Managed networks by name, then the host's other interfaces; those are not shown to projects with networks of their own. */
  async list(project: string): Promise<Network[]> {
    const owner = this.projects.owner(project);
    const managed = this.networks.listByProject(this.database.read, owner);
    if (owner !== 'default') return managed.map((row) => this.managedApi(row));
    const names = new Set(managed.map(({ name }) => name));
    // The ends of instances' cables are many and belong to the instances.
    const others = (await this.driver.describeInterfaces('')).filter(({ name }) => !names.has(name) && !name.startsWith('veth'));
    return [...managed.map((row) => this.managedApi(row)), ...others.map((link) => this.unmanagedApi(link))];
  }

  async get(project: string, name: string): Promise<{ network: Network; etag: unknown }> {
    const owner = this.projects.owner(project);
    const row = this.networks.find(this.database.read, owner, name);
    if (row !== undefined) return { network: this.managedApi(row), etag: etagOfNetwork(row) };
    const link = owner === 'default' && !name.startsWith('veth') ? await this.findInterface(name) : undefined;
    if (link === undefined) throw notFound('Network not found');
    const network = this.unmanagedApi(link);
    return { network, etag: [network.name, false, network.type, '', {}] };
  }

  async state(project: string, name: string): Promise<NetworkState> {
    this.projects.owner(project);
    const link = await this.findInterface(name);
    if (link === undefined) throw notFound(`Network interface "${name}" not found`);
    return stateApi(link);
  }

  async leases(project: string, name: string): Promise<NetworkLease[]> {
    const row = this.loaded(project, name);
    const nics = this.usage.nics(this.database.read, row).filter((nic) => nic.project === project);
    return listLeases({
      name, config: row.config, nics, leases: await this.driver.listLeases(specOf(row)),
      ownProject: row.project === project, location: this.networks.location(this.database.read),
    });
  }

  /** For parts of a managed network; LXD's wording where it is none. */
  loaded(project: string, name: string): NetworkRow {
    const owner = this.projects.owner(project);
    try {
      return this.networks.get(this.database.read, owner, name);
    } catch (error) {
      throw wrap(error, 'Failed loading network');
    }
  }

  private managedApi(row: NetworkRow): Network {
    const users = this.users.usedBy(this.database.read, row);
    return {
      config: visibleConfig(row.config), description: row.description, name: row.name, type: row.type,
      used_by: users.length === 0 ? null : users, managed: true, status: row.state, locations: row.locations,
    };
  }

  private unmanagedApi({ name, kind }: InterfaceState): Network {
    const users = kind === 'loopback' ? [] : this.users.usedBy(this.database.read, { project: 'default', name });
    const used_by = kind !== 'loopback' && users.length === 0 ? null : users;
    return { config: {}, description: '', name, type: kind, used_by, managed: false, status: '', locations: null };
  }

  private async findInterface(name: string): Promise<InterfaceState | undefined> {
    try {
      return (await this.driver.describeInterfaces(name))[0];
    } catch (error) {
      if (AppError.is(error, 'not-found')) return undefined;
      throw error;
    }
  }
}

function stateApi(link: InterfaceState): NetworkState {
  const { bridge, bond, vlan, counters } = link;
  return {
    addresses: link.addresses.map(({ family, address, netmask, scope }) => ({ family, address, netmask, scope })),
    counters: {
      bytes_received: counters.bytesReceived, bytes_sent: counters.bytesSent, packets_received: counters.packetsReceived, packets_sent: counters.packetsSent,
    },
    hwaddr: link.hwaddr, mtu: link.mtu, state: link.state, type: link.type,
    bond: bond
      ? { mode: bond.mode, transmit_policy: bond.transmitPolicy, up_delay: bond.upDelay, down_delay: bond.downDelay, mii_frequency: bond.miiFrequency,
          mii_state: bond.miiState, lower_devices: bond.lowerDevices }
      : null,
    bridge: bridge
      ? { id: bridge.id, stp: bridge.stp, forward_delay: bridge.forwardDelay, vlan_default: bridge.vlanDefault, vlan_filtering: bridge.vlanFiltering,
          upper_devices: bridge.upperDevices }
      : null,
    vlan: vlan ? { lower_device: vlan.lowerDevice, vid: vlan.vid } : null,
    ovn: null,
  };
}
