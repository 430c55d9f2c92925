import { Injectable } from '@nestjs/common';
import type { Network, NetworkLease, NetworkState } from '#api-types';
import { z } from 'zod';
import { AppError, LocalMember, Logger, messageOf, notFound, notImplemented, wrap } from '#kernel';
import { NetworkDriver, Peers, type InterfaceState, type Lease } from '#ports';
import { Database } from '#platform/database';
import { NetworksRepository, type NetworkRow } from './data/networks.repository.js';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkUsage } from './network-usage.registry.js';
import { NetworkUsers } from './network-users.service.js';
import { ClusterNetworks, etagOf } from './cluster-networks.service.js';
import { specOf } from './member-networks.service.js';
import { listLeases, type PlacedLease } from './rules/lease-list.rules.js';
import { visibleConfig } from './rules/network-config.rules.js';

const named = z.object({ name: z.string().min(1) });
const numbered = z.object({ id: z.number() });

/** What the API shows of networks: managed ones from rows, other interfaces of the host as they are. */
@Injectable()
export class NetworkViews {
  constructor(
    private readonly database: Database,
    private readonly networks: NetworksRepository,
    private readonly users: NetworkUsers,
    private readonly usage: NetworkUsage,
    private readonly projects: NetworkProjects,
    private readonly cluster: ClusterNetworks,
    private readonly driver: NetworkDriver,
    private readonly peers: Peers,
    private readonly member: LocalMember,
    private readonly logger: Logger,
  ) {
    peers.handle('networks.describe-interface', async (request) => ({ links: await driver.describeInterfaces(named.parse(request).name) }));
    peers.handle('networks.list-leases', async (request) => ({ leases: await this.leasesHere(numbered.parse(request).id) }));
  }

  /** Managed networks by name, then the host's other interfaces; those are not shown to projects with networks of their own. */
  async list(project: string): Promise<Network[]> {
    const owner = this.projects.owner(project);
    const rows = this.networks.listByProject(this.database.read, owner);
    const managed = rows.filter(({ name }) => this.projects.allows(project, name));
    if (owner !== 'default') return managed.map((row) => this.managedApi(row));
    const names = new Set(rows.map(({ name }) => name));
    // The ends of instances' cables are many and belong to the instances.
    const others = (await this.driver.describeInterfaces('')).filter(({ name }) => !names.has(name) && !name.startsWith('veth') && this.projects.allows(project, name, false));
    return [...managed.map((row) => this.managedApi(row)), ...others.map((link) => this.unmanagedApi(link))];
  }

  /** As a whole, or one member's part of it. */
  async get(project: string, name: string, target = ''): Promise<{ network: Network; etag: unknown }> {
    const owner = this.projects.owner(project);
    const memberId = this.cluster.memberNamed(target)?.id;
    const row = this.networks.find(this.database.read, owner, name, memberId);
    this.projects.assertAllowed(project, name, row !== undefined);
    if (row !== undefined) {
      const network = this.managedApi(row, target);
      return { network, etag: etagOf(row, network.config) };
    }
    const link = owner === 'default' && !name.startsWith('veth') ? await this.findInterface(name, memberId) : undefined;
    if (link === undefined) throw notFound('Network not found');
    const network = this.unmanagedApi(link);
    return { network, etag: [network.name, false, network.type, '', {}] };
  }

  async state(project: string, name: string, target = ''): Promise<NetworkState> {
    this.projects.assertAllowed(project, name, this.networks.find(this.database.read, this.projects.owner(project), name) !== undefined);
    const link = await this.findInterface(name, this.cluster.memberNamed(target)?.id);
    if (link === undefined) throw notFound(`Network interface "${name}" not found`);
    return stateApi(link);
  }

  /** What DHCP gave is collected from all members, unless one is named; a member that does not answer is left out. */
  async leases(project: string, name: string, target = ''): Promise<NetworkLease[]> {
    const row = this.loaded(project, name);
    if (row.type !== 'bridge') throw notImplemented('Not implemented');
    const nics = this.usage.nics(this.database.read, row).filter((nic) => nic.project === project);
    return listLeases({ name, config: row.config, nics, leases: await this.givenLeases(row, this.cluster.memberNamed(target)?.id), ownProject: row.project === project });
  }

  /** For parts of a managed network; LXD's wording where it is none. */
  loaded(project: string, name: string): NetworkRow {
    const owner = this.projects.owner(project);
    this.projects.assertAllowed(project, name);
    try {
      return this.networks.get(this.database.read, owner, name);
    } catch (error) {
      throw wrap(error, 'Failed loading network');
    }
  }

  private async givenLeases(row: NetworkRow, memberId: number | undefined): Promise<PlacedLease[]> {
    const here = async (): Promise<PlacedLease[]> => (await this.leasesHere(row.id)).map((lease) => ({ ...lease, location: this.member.location }));
    const others = this.peers.others().filter(({ id }) => (memberId === undefined ? this.peers.isOnline(id) : id === memberId));
    const there = others.map(async ({ id, name }) => {
      const { leases } = await this.peers.call<{ leases: Lease[] }>(id, 'networks.list-leases', { id: row.id });
      return leases.map((lease) => ({ ...lease, location: name }));
    });
    if (memberId !== undefined) return memberId === this.member.id ? here() : (await Promise.all(there)).flat();
    const found = await Promise.allSettled([here(), ...there]);
    if (found[0]?.status === 'rejected') throw found[0].reason;
    for (const one of found) if (one.status === 'rejected') this.logger.warn('A member does not tell its leases', { network: row.name, error: messageOf(one.reason) });
    return found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  }

  private async leasesHere(id: number): Promise<Lease[]> {
    const row = this.networks.findById(this.database.read, id);
    return row?.part === 'Created' ? this.driver.listLeases(specOf(row)) : [];
  }

  private managedApi(row: NetworkRow, target = ''): Network {
    const users = this.users.usedBy(this.database.read, row);
    const whole = this.member.clustered && target === '';
    return {
      config: visibleConfig(whole ? row.common : row.config), description: row.description, name: row.name, type: row.type,
      used_by: users.length === 0 ? null : users, managed: true, status: this.status(row, target), locations: row.locations,
    };
  }

  private unmanagedApi({ name, kind }: InterfaceState): Network {
    const users = kind === 'loopback' ? [] : this.users.usedBy(this.database.read, { project: 'default', name });
    const used_by = kind !== 'loopback' && users.length === 0 ? null : users;
    return { config: {}, description: '', name, type: kind, used_by, managed: false, status: '', locations: null };
  }

  private status({ state, part }: NetworkRow, target: string): string {
    if (!this.member.clustered || target === '') return state;
    if (part === null) return 'Unknown';
    return part === 'Created' ? 'Created' : 'Pending';
  }

  private async findInterface(name: string, memberId = this.member.id): Promise<InterfaceState | undefined> {
    try {
      return (await this.peers.call<{ links: InterfaceState[] }>(memberId, 'networks.describe-interface', { name })).links[0];
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
