import { Injectable } from '@nestjs/common';
import type { StoragePoolPut, StoragePoolsPost } from '#api-types';
import { internal, invalid, KeyedMutex, LocalMember, messageOf, notFound, type RequestContext } from '#kernel';
import { Peers, type PeerMember } from '#ports';
import { Database, TransactionRunner, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { MemberParts } from '#features/cluster';
import { PoolsRepository, type PoolRow } from './data/pools.repository.js';
import { PoolUsers } from './pool-users.service.js';
import { findKey, merged, refuseNewSource, validatePoolConfig, type Config } from './rules/pool-config.rules.js';

export interface PoolUpdate {
  readonly merge: boolean;
  readonly ifMatch: string | undefined;
  /** A member's name: its keys are meant, not those all have in common. Ignored on a member that stands alone. */
  readonly target?: string;
}

type CreateRequest = StoragePoolsPost & { readonly config: Config };

/**
 * Pools of a cluster. Members' parts are defined first, one request with a target each; a request without makes them all. From before the first host
 * is touched until the last is done the pool is `Errored`: whatever dies in between, what is left can be made again or deleted.
 */
@Injectable()
export class ClusterPools {
  private readonly locks = new KeyedMutex();
  private readonly parts: MemberParts;

  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly pools: PoolsRepository,
    private readonly users: PoolUsers,
    private readonly peers: Peers,
    private readonly member: LocalMember,
    private readonly events: EventBus,
  ) {
    this.parts = new MemberParts({ database, runner, peers, member, rows: pools });
  }

  /** As `MemberParts`. */
  memberNamed(target: string): PeerMember | undefined {
    return this.parts.memberNamed(target);
  }

  /** False where a pool is made as on a member that stands alone: there, and by the only member of a cluster for a pool nobody has defined. */
  async create(ctx: RequestContext, request: CreateRequest, target: string): Promise<boolean> {
    if (!this.member.clustered) return false;
    const member = this.memberNamed(target);
    if (member !== undefined) {
      await this.define(ctx, request, member);
      return true;
    }
    if (this.parts.members().length === 1 && this.pools.find(this.database.read, request.name) === undefined) return false;
    await this.locks.run(request.name, () => this.createEverywhere(ctx, request));
    return true;
  }

  async update(ctx: RequestContext, name: string, request: StoragePoolPut, options: PoolUpdate): Promise<void> {
    await this.locks.run(name, async () => {
      const member = this.memberNamed(options.target ?? '');
      const before = this.pools.get(this.database.read, name, member?.id);
      if (member === undefined) await this.updateEverywhere(ctx, before, request, options);
      else await this.updatePart(ctx, before, request, options, member);
    });
  }

  async delete(ctx: RequestContext, name: string): Promise<void> {
    await this.locks.run(name, async () => {
      const { id } = this.pools.get(this.database.read, name);
      await this.parts.destroy(ctx, id, 'storage.destroy-member-part', { pool: name }, (sql) => {
        this.pools.get(sql, name);
        this.users.refuseUsed(sql, name);
      });
      await this.runner.run(ctx, (tx) => {
        if (this.pools.find(tx.sql, name)?.id === id) this.pools.delete(tx, name);
        this.announce(tx, ctx, 'storage-pool-deleted', name);
      });
    });
  }

  private async define(ctx: RequestContext, { name, driver, description, config }: CreateRequest, member: PeerMember): Promise<void> {
    const common = findKey(config, false);
    if (common !== undefined) throw internal(`Config key "${common}" may not be used as member-specific key`);
    validatePoolConfig(driver, config);
    await this.runner.run(ctx, (tx) => {
      const row = this.pools.find(tx.sql, name);
      if (row !== undefined && row.driver !== driver) throw internal('Storage pool already exists with a different driver');
      if (row !== undefined && row.state !== 'Pending') throw internal('Storage pool is not in pending state');
      if (row?.locations.includes(member.name)) throw invalid(`The storage pool already defined on member "${member.name}"`);
      const id = row?.id ?? this.pools.insert(tx, { name, driver, description, config: {} });
      this.pools.insertPart(tx, id, { memberId: member.id, state: 'Pending', config });
    });
  }

  private async createEverywhere(ctx: RequestContext, request: CreateRequest): Promise<void> {
    const { name } = request;
    this.checkCreate(this.pools.find(this.database.read, name), request);
    this.parts.requireOnline();
    const id = await this.runner.run(ctx, (tx) => {
      const row = this.checkCreate(this.pools.find(tx.sql, name), request);
      // What an interrupted attempt has set stays: hosts were prepared by it.
      if (row.state === 'Pending') this.pools.update(tx, row.id, { description: request.description || row.description, config: request.config });
      this.pools.setWholeState(tx, row.id, 'Errored');
      return row.id;
    });
    await this.parts.onAll(ctx, id, 'storage.create-member-part', { pool: name });
    await this.runner.run(ctx, (tx) => {
      this.pools.setWholeState(tx, id, 'Created');
      this.announce(tx, ctx, 'storage-pool-created', name);
    });
  }

  private checkCreate(row: PoolRow | undefined, { driver, config }: CreateRequest): PoolRow {
    if (row === undefined) throw internal('Pool not pending on any node (use --target <node> first)');
    if (row.state === 'Created') throw internal('The storage pool is already created');
    const missing = this.parts.missing(row.locations);
    if (missing.length > 0) throw internal(`Pool not defined on nodes: ${missing.join(', ')}`);
    if (row.driver !== driver) throw internal(`Requested storage pool driver "${driver}" doesn't match driver in existing database record "${row.driver}"`);
    if (row.state === 'Errored' && Object.keys(config).length > 0) {
      throw internal('Storage pool already partially created. Please do not specify any global config when re-running create');
    }
    const own = findKey(config, true);
    if (own !== undefined) throw internal(`Config key "${own}" is cluster member specific`);
    validatePoolConfig(driver, config);
    return row;
  }

  private async updateEverywhere(ctx: RequestContext, before: PoolRow, request: StoragePoolPut, { merge, ifMatch }: PoolUpdate): Promise<void> {
    const { id, name, driver } = before;
    const check = (row: PoolRow): void => {
      if (row.state !== 'Created') throw invalid('Cannot update storage pool global config when not in created state');
      checkEtag(ifMatch, [name, driver, row.common]);
    };
    check(before);
    const after = merged({ ...before, config: before.common }, request, merge);
    const own = findKey(after.config, true);
    if (own !== undefined) throw invalid(`Config key "${own}" is cluster member specific`);
    validatePoolConfig(driver, after.config);
    this.parts.requireOnline();
    await this.parts.onAll(ctx, id, 'storage.apply-member-part', { pool: name, config: after.config });
    await this.runner.run(ctx, (tx) => {
      check(this.pools.get(tx.sql, name));
      this.pools.update(tx, id, after);
      this.announce(tx, ctx, 'storage-pool-updated', name);
    });
  }

  /** Keys all members have in common may come along as they are: clients send back what they have read. */
  private async updatePart(ctx: RequestContext, before: PoolRow, request: StoragePoolPut, options: PoolUpdate, member: PeerMember): Promise<void> {
    const { name, driver, common } = before;
    checkEtag(options.ifMatch, [name, driver, before.config]);
    const wanted = merged(before, request, options.merge).config;
    const foreign = findKey(Object.fromEntries(Object.entries(wanted).filter(([key, value]) => common[key] !== value)), false);
    if (foreign !== undefined) throw invalid(`Config key "${foreign}" may not be used as cluster member specific key`);
    const config = { ...common, ...wanted };
    validatePoolConfig(driver, config);
    if (before.part === null) throw notFound('Storage pool not found');
    if (before.part === 'Created') {
      try {
        refuseNewSource(before.config, config);
      } catch (error) {
        throw internal(messageOf(error), { cause: error });
      }
      await this.peers.call(member.id, 'storage.change-member-part', { pool: name, config }, { timeoutMs: 0, requestor: ctx.requestor });
      return;
    }
    await this.runner.run(ctx, (tx) => this.pools.updatePart(tx, this.pools.get(tx.sql, name).id, config, member.id));
  }

  private announce(tx: Tx, ctx: RequestContext, action: string, name: string): void {
    tx.afterCommit(() => this.events.lifecycle({ action, source: apiUrl(['1.0', 'storage-pools', name]), project: 'default', requestor: ctx.requestor }));
  }
}
