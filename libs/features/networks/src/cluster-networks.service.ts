import { Injectable } from '@nestjs/common';
import type { NetworkPut, NetworksPost } from '#api-types';
import { internal, internalContext, invalid, KeyedMutex, LocalMember, Logger, messageOf, notFound, type RequestContext } from '#kernel';
import { Peers, type PeerMember } from '#ports';
import { Database, TransactionRunner, type Sql } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { MemberParts } from '#features/cluster';
import { NetworksRepository, type NetworkRow } from './data/networks.repository.js';
import { NetworkSpecs } from './network-specs.service.js';
import { NetworkUsers } from './network-users.service.js';
import { findKey, hiddenOf, validateNetworkConfig, visibleConfig, type Config } from './rules/network-config.rules.js';

export interface NetworkUpdate {
  readonly merge: boolean;
  readonly ifMatch: string | undefined;
  /** A member's name: its keys are meant, not those all have in common. Ignored on a member that stands alone. */
  readonly target?: string;
}

/** Turns `auto` into subnets that are free; with translation switched on for those when the network is new. */
export type SubnetChooser = (config: Config, isNew: boolean) => Promise<Record<string, string>>;

type CreateRequest = Omit<NetworksPost, 'config'> & { readonly project: string; readonly config: Config };

/**
 * Networks of a cluster. Members' parts are defined first, one request with a target each; a request without makes them all. From before the first
 * host is touched until the last is done the network is `Errored`: whatever dies in between, what is left can be made again or deleted.
 */
@Injectable()
export class ClusterNetworks {
  private readonly locks = new KeyedMutex();
  private readonly parts: MemberParts;

  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly networks: NetworksRepository,
    private readonly users: NetworkUsers,
    private readonly specs: NetworkSpecs,
    private readonly peers: Peers,
    private readonly member: LocalMember,
    private readonly events: EventBus,
    private readonly logger: Logger,
  ) {
    this.parts = new MemberParts({ database, runner, peers, member, rows: networks });
  }

  /** As `MemberParts`. */
  memberNamed(target: string): PeerMember | undefined {
    return this.parts.memberNamed(target);
  }

  /** False where a network is made as on a member that stands alone: there, and by the only member of a cluster for one nobody has defined. */
  async create(ctx: RequestContext, request: CreateRequest, target: string, choose: SubnetChooser): Promise<boolean> {
    if (!this.member.clustered) return false;
    const member = this.memberNamed(target);
    if (member !== undefined) {
      await this.define(ctx, request, member);
      return true;
    }
    const { project, name } = request;
    if (this.parts.members().length === 1 && this.networks.find(this.database.read, project, name) === undefined) return false;
    await this.locks.run(`${project}/${name}`, () => this.createEverywhere(ctx, request, choose));
    return true;
  }

  async update(ctx: RequestContext, project: string, name: string, request: NetworkPut, options: NetworkUpdate, choose: SubnetChooser): Promise<void> {
    await this.locks.run(`${project}/${name}`, async () => {
      const member = this.memberNamed(options.target ?? '');
      const before = this.networks.get(this.database.read, project, name, member?.id);
      if (member === undefined) await this.updateEverywhere(ctx, before, request, options, choose);
      else await this.updatePart(ctx, before, request, options, member);
    });
  }

  async delete(ctx: RequestContext, project: string, name: string): Promise<void> {
    await this.locks.run(`${project}/${name}`, async () => {
      const { id } = this.networks.get(this.database.read, project, name);
      await this.parts.destroy(ctx, id, 'networks.destroy-member-part', { id }, (sql) => {
        this.networks.get(sql, project, name);
        this.refuseUsed(sql, project, name);
      });
      await this.runner.run(ctx, (tx) => {
        this.networks.delete(tx, id);
        tx.afterCommit(() => this.announce(ctx, 'network-deleted', project, name));
      });
    });
  }

  /** Every member that has it does what its row says now, together with what belongs to it. */
  async ensureEverywhere(ctx: RequestContext, id: number): Promise<void> {
    await this.parts.onAll(ctx, id, 'networks.ensure-member-part', { id });
  }

  private async define(ctx: RequestContext, { project, name, type, description, config }: CreateRequest, member: PeerMember): Promise<void> {
    const common = findKey(config, false);
    if (common !== undefined) throw invalid(`Config key "${common}" may not be used as member-specific key`);
    validateNetworkConfig(type, name, config, { partial: true });
    await this.runner.run(ctx, (tx) => {
      const row = this.networks.find(tx.sql, project, name);
      if (row !== undefined && row.type !== type) throw internal("Requested network type doesn't match type in existing database record");
      if (row !== undefined && row.state !== 'Pending') throw internal('Network is not in pending state');
      if (row?.locations.includes(member.name)) throw invalid(`The network is already defined on member "${member.name}"`);
      const id = row?.id ?? this.networks.insert(tx, { project, name, type, description, config: {} });
      this.networks.insertPart(tx, id, { memberId: member.id, state: 'Pending', config });
    });
  }

  private async createEverywhere(ctx: RequestContext, request: CreateRequest, choose: SubnetChooser): Promise<void> {
    const { project, name } = request;
    const known = this.checkCreate(this.networks.find(this.database.read, project, name), request);
    this.parts.requireOnline();
    // What an interrupted attempt has set stays: hosts were prepared by it.
    const asked = request.type === 'bridge' ? { 'ipv4.address': 'auto', 'ipv6.address': 'auto', ...request.config } : request.config;
    const config = known.state === 'Pending' ? await choose(asked, true) : known.common;
    const id = await this.runner.run(ctx, (tx) => {
      const row = this.checkCreate(this.networks.find(tx.sql, project, name), request);
      this.validateOnAll(tx.sql, row, config);
      this.users.refuseTakenParent(tx.sql, { ...row, config: { ...row.config, ...config } });
      this.specs.of({ ...row, config: { ...row.config, ...config } }, tx.sql);
      if (row.state === 'Pending') this.networks.updateCommon(tx, row.id, { description: request.description || row.description, config });
      this.networks.setWholeState(tx, row.id, 'Errored');
      return row.id;
    });
    await this.parts.onAll(ctx, id, 'networks.create-member-part', { id });
    await this.runner.run(ctx, (tx) => {
      this.networks.setWholeState(tx, id, 'Created');
      tx.afterCommit(() => this.announce(ctx, 'network-created', project, name));
    });
  }

  private checkCreate(row: NetworkRow | undefined, { name, type, config }: CreateRequest): NetworkRow {
    const own = findKey(config, true);
    if (own !== undefined) throw internal(`Config key "${own}" is cluster member specific`);
    if (row === undefined) throw internal('Network not pending on any node (use --target <node> first)');
    if (row.state === 'Created') throw internal('The network is already created');
    const missing = this.parts.missing(row.locations);
    if (missing.length > 0) throw internal(`Network not defined on nodes: ${missing.join(', ')}`);
    if (row.type !== type) throw internal(`Requested network type "${type}" doesn't match type in existing database record "${row.type}"`);
    if (row.state === 'Errored' && Object.keys(config).length > 0) {
      throw internal('Network already partially created. Please do not specify any global config when re-running create');
    }
    validateNetworkConfig(type, name, config, { partial: true });
    return row;
  }

  /** With each member's own keys the whole must be complete. */
  private validateOnAll(sql: Sql, { id, type, name }: NetworkRow, common: Config): void {
    for (const own of this.networks.partConfigs(sql, id)) validateNetworkConfig(type, name, { ...common, ...own });
  }

  /** Rows first: hosts that are away when they change follow when they are back. Where one refuses, all go back. */
  private async updateEverywhere(ctx: RequestContext, before: NetworkRow, request: NetworkPut, options: NetworkUpdate, choose: SubnetChooser): Promise<void> {
    const { id, project, name } = before;
    const check = (row: NetworkRow): void => {
      if (row.state !== 'Created') throw invalid('Cannot update network global config when not in created state');
      checkEtag(options.ifMatch, etagOf(row, row.common));
    };
    check(before);
    const wanted = merged(before.common, request, options.merge);
    const own = findKey(wanted, true);
    if (own !== undefined) throw invalid(`Config key "${own}" is cluster member specific`);
    this.validateOnAll(this.database.read, before, wanted);
    this.users.refuseParentChange(this.database.read, before, { ...before.config, vlan: '', ...wanted });
    this.parts.requireOnline();
    const config = await choose(wanted, false);
    const description = request.description ?? (options.merge ? before.description : '');
    await this.runner.run(ctx, (tx) => {
      const row = this.networks.get(tx.sql, project, name);
      check(row);
      this.specs.of({ ...row, config }, tx.sql);
      this.networks.updateCommon(tx, id, { description, config });
    });
    try {
      await this.ensureEverywhere(ctx, id);
    } catch (error) {
      await this.runner.run(internalContext(), (tx) => this.networks.updateCommon(tx, id, { description: before.description, config: before.common }));
      await this.ensureEverywhere(ctx, id).catch((undoing: unknown) => {
        this.logger.error('Failed to restore a network after a refused change; the next look at its row tries again', { network: name, error: messageOf(undoing) });
      });
      throw error;
    }
    this.announce(ctx, 'network-updated', project, name);
  }

  /** Keys all members have in common may come along as they are: clients send back what they have read. */
  private async updatePart(ctx: RequestContext, before: NetworkRow, request: NetworkPut, options: NetworkUpdate, member: PeerMember): Promise<void> {
    const { id, name, common } = before;
    checkEtag(options.ifMatch, etagOf(before, before.config));
    const wanted = merged(visibleConfig(before.config), request, options.merge);
    const foreign = findKey(Object.fromEntries(Object.entries(wanted).filter(([key, value]) => common[key] !== value)), false);
    if (foreign !== undefined) throw invalid(`Config key "${foreign}" may not be used as member-specific key`);
    validateNetworkConfig(before.type, name, wanted);
    this.users.refuseParentChange(this.database.read, before, { ...before.common, ...wanted });
    if (before.part === null) throw notFound('Network not found');
    const config = { ...wanted, ...hiddenOf(before.config) };
    if (before.part === 'Created') await this.peers.call(member.id, 'networks.change-member-part', { id, config }, { timeoutMs: 0, requestor: ctx.requestor });
    else await this.runner.run(ctx, (tx) => this.networks.updatePart(tx, id, config, member.id));
  }

  private refuseUsed(sql: Sql, project: string, name: string): void {
    if (this.users.usedBy(sql, { project, name }).length > 0) throw invalid('The network is currently in use');
  }

  private announce(ctx: RequestContext, action: string, project: string, name: string): void {
    this.events.lifecycle({ action, source: apiUrl(['1.0', 'networks', name], project), project, requestor: ctx.requestor });
  }
}

/** The fields a client may edit, and those that tell the network from another; `config` as the client was shown it. */
export function etagOf({ name, type, description }: NetworkRow, config: Config): unknown {
  return [name, true, type, description, visibleConfig(config)];
}

function merged(before: Config, request: NetworkPut, merge: boolean): Record<string, string> {
  const all: Config = merge ? { ...before, ...request.config } : { ...request.config };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}
