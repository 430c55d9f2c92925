import { isDeepStrictEqual } from 'node:util';
import { Injectable } from '@nestjs/common';
import type { NetworkForward, NetworkForwardPut, NetworkForwardsPost } from '#api-types';
import { conflict, internalContext, invalid, isTrue, LocalMember, Logger, messageOf, notFound, wrap, type RequestContext } from '#kernel';
import { Peers } from '#ports';
import { Database, TransactionRunner, type Sql } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { ClusterNetworks } from './cluster-networks.service.js';
import { NetworkForwardsRepository, type NetworkForwardRow } from './data/network-forwards.repository.js';
import { NetworksRepository, type NetworkRow } from './data/networks.repository.js';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkUsage } from './network-usage.registry.js';
import { canonicalAddress, compileForward, normaliseForward, type ForwardContent } from './rules/network-forward.rules.js';
import { overlap } from './rules/free-subnet.rules.js';

export interface ForwardUpdate {
  readonly merge: boolean;
  readonly ifMatch: string | undefined;
  readonly target: string;
}

/**
 * Addresses of members that go on into a network. A forward belongs to one member: rows first, then that member's host; where the host refuses, the row
 * goes back. A host that is told nothing, because the daemon died, follows the rows at its next look.
 */
@Injectable()
export class NetworkForwards {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly forwards: NetworkForwardsRepository,
    private readonly networks: NetworksRepository,
    private readonly projects: NetworkProjects,
    private readonly usage: NetworkUsage,
    private readonly cluster: ClusterNetworks,
    private readonly peers: Peers,
    private readonly member: LocalMember,
    private readonly events: EventBus,
    private readonly logger: Logger,
  ) {}

  list(project: string, network: string): NetworkForward[] {
    return this.forwards.list(this.database.read, this.bridge(project, network).id).map(apiOf);
  }

  get(project: string, network: string, address: string, target: string): { forward: NetworkForward; etag: unknown } {
    const row = this.find(this.bridge(project, network).id, address, this.cluster.memberNamed(target)?.id);
    return { forward: apiOf(row), etag: etagOf(row) };
  }

  /** Gives the listen address as it is usually written. */
  async create(ctx: RequestContext, networkName: string, request: NetworkForwardsPost, target: string): Promise<string> {
    const network = this.bridge(ctx.project, networkName);
    const memberId = this.cluster.memberNamed(target)?.id ?? this.member.id;
    const listenAddress = canonicalAddress(request.listen_address);
    const content = normaliseForward({ description: request.description ?? '', config: request.config ?? {}, ports: request.ports ?? [] });
    const id = network.id;
    await within('Failed creating forward', async () => {
      await this.runner.run(ctx, (tx) => {
        const { config } = this.networks.get(tx.sql, network.project, network.name, memberId);
        compileForward(listenAddress, content, config);
        const there = this.forwards.onMember(tx.sql, memberId);
        if (there.some((row) => row.networkId === id && row.listenAddress === listenAddress)) throw conflict('A forward for that listen address already exists');
        this.refuseOverlap(tx.sql, network, listenAddress, there);
        this.forwards.insert(tx, { networkId: id, memberId, listenAddress, ...content });
      });
      await this.applying(ctx, network, memberId, () => this.runner.run(internalContext(), (tx) => {
        const made = this.forwards.list(tx.sql, id).find((row) => row.memberId === memberId && row.listenAddress === listenAddress);
        if (made !== undefined) this.forwards.delete(tx, made.id);
      }));
    });
    this.announce(ctx, 'network-forward-created', network, listenAddress);
    return listenAddress;
  }

  /** PUT replaces, PATCH merges. */
  async update(ctx: RequestContext, networkName: string, address: string, request: NetworkForwardPut, options: ForwardUpdate): Promise<void> {
    const network = this.bridge(ctx.project, networkName);
    const wanted = async (): Promise<NetworkForwardRow> => this.find(network.id, address, this.cluster.memberNamed(options.target)?.id);
    // A PATCH has looked for it before it begins to change it.
    const before = options.merge ? await wanted() : await within('Failed updating forward', wanted);
    checkEtag(options.ifMatch, etagOf(before));
    const content = normaliseForward({
      description: request.description ?? (options.merge ? before.description : ''), ports: request.ports ?? (options.merge ? before.ports : []),
      config: options.merge ? { ...before.config, ...request.config } : request.config ?? {},
    });
    await within('Failed updating forward', async () => {
      await this.runner.run(ctx, (tx) => {
        const row = this.find(network.id, address, before.memberId, tx.sql);
        checkEtag(options.ifMatch, etagOf(row));
        compileForward(row.listenAddress, content, this.networks.get(tx.sql, network.project, network.name, before.memberId).config);
        this.forwards.update(tx, row.id, content);
      });
      await this.applying(ctx, network, before.memberId, () => this.runner.run(internalContext(), (tx) => {
        const now = this.forwards.list(tx.sql, network.id).find(({ id }) => id === before.id);
        // Somebody who has changed it since was told that it is so.
        if (now !== undefined && isDeepStrictEqual(etagOf(now), etagOf({ ...before, ...content }))) this.forwards.update(tx, before.id, before);
      }));
    });
    this.announce(ctx, 'network-forward-updated', network, before.listenAddress);
  }

  async delete(ctx: RequestContext, networkName: string, address: string, target: string): Promise<void> {
    const network = this.bridge(ctx.project, networkName);
    await within('Failed deleting forward', async () => {
      const row = this.find(network.id, address, this.cluster.memberNamed(target)?.id);
      await this.runner.run(ctx, (tx) => this.forwards.delete(tx, row.id));
      await this.applying(ctx, network, row.memberId, () => this.runner.run(internalContext(), (tx) => this.forwards.insert(tx, row)));
      this.announce(ctx, 'network-forward-deleted', network, row.listenAddress);
    });
  }

  private bridge(project: string, name: string): NetworkRow {
    const owner = this.projects.owner(project);
    this.projects.assertAllowed(project, name);
    let row: NetworkRow;
    try {
      row = this.networks.get(this.database.read, owner, name);
    } catch (error) {
      throw wrap(error, 'Failed loading network');
    }
    if (row.type !== 'bridge') throw invalid(`Network driver "${row.type}" does not support forwards`);
    return row;
  }

  private find(networkId: number, address: string, memberId: number | undefined, sql: Sql = this.database.read): NetworkForwardRow {
    const listen = canonicalAddress(address);
    const found = this.forwards.list(sql, networkId).filter((row) => row.listenAddress === listen && (memberId === undefined || row.memberId === memberId));
    if (found.length > 1) throw conflict('Network forward found on more than one cluster member. Please target a specific member');
    if (found[0] === undefined) throw notFound('Network forward not found');
    return found[0];
  }

  /** Addresses others use, on that member, cannot be listened on. The words hide whose they are, as LXD's do. */
  private refuseOverlap(sql: Sql, network: NetworkRow, listenAddress: string, forwards: readonly NetworkForwardRow[]): void {
    const others = this.networks.listAll(sql).filter(({ id, type }) => id !== network.id && type === 'bridge');
    const used = [
      ...others.flatMap(({ config }) => (['ipv4', 'ipv6'] as const).flatMap((family) => [
        isTrue(config[`${family}.nat`]) ? '' : config[`${family}.address`] ?? '', config[`${family}.nat.address`] ?? '', ...(config[`${family}.routes`] ?? '').split(','),
      ])),
      ...forwards.filter(({ networkId }) => networkId !== network.id).map((row) => row.listenAddress),
      ...[network, ...others].flatMap((row) => this.usage.nics(sql, row).flatMap(({ routes }) => routes)),
    ].map((text) => text.trim()).filter((text) => text !== '' && text !== 'none');
    const taken = used.some((subnet) => overlap(subnet, listenAddress));
    if (taken) throw invalid(`Forward listen address "${listenAddress}/${listenAddress.includes(':') ? 128 : 32}" overlaps with another network or NIC`);
  }

  private async applying(ctx: RequestContext, network: NetworkRow, memberId: number, takeBack: () => Promise<void>): Promise<void> {
    const apply = (): Promise<unknown> => this.peers.call(memberId, 'networks.ensure-member-part', { id: network.id }, { timeoutMs: 0, requestor: ctx.requestor });
    try {
      await apply();
    } catch (error) {
      await takeBack();
      await apply().catch((undoing: unknown) => this.logger.error('Failed to restore the forwards of a network', { network: network.name, error: messageOf(undoing) }));
      throw error;
    }
  }

  private announce(ctx: RequestContext, action: string, { name, project }: NetworkRow, address: string): void {
    this.events.lifecycle({ action, source: apiUrl(['1.0', 'networks', name, 'forwards', address], project), project, requestor: ctx.requestor });
  }
}

function apiOf({ description, config, ports, listenAddress, location }: NetworkForwardRow): NetworkForward {
  return { description, config, ports, listen_address: listenAddress, location };
}

function etagOf({ listenAddress, description, config, ports }: ForwardContent & { readonly listenAddress: string }): unknown {
  return [listenAddress, description, config, ports];
}

async function within<T>(prefix: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw wrap(error, prefix);
  }
}
