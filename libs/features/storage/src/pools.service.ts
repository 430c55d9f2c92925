import { Injectable } from '@nestjs/common';
import type { ResourcesStoragePool, StoragePool, StoragePoolPut, StoragePoolsPost } from '#api-types';
import { conflict, invalid, LocalMember, type RequestContext } from '#kernel';
import { Peers, type PoolResources, type PoolSpec, type StorageCapabilities } from '#ports';
import { Database, TransactionRunner, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { PoolsRepository, type PoolRow } from './data/pools.repository.js';
import { ClusterPools, type PoolUpdate } from './cluster-pools.service.js';
import { PoolParts, specOf } from './pool-parts.service.js';
import { PoolUsers } from './pool-users.service.js';
import { compact, merged, refuseNewSource, splitConfig, validatePoolConfig, type Config } from './rules/pool-config.rules.js';
import { validatePoolName } from './rules/names.rules.js';

/**
 * Storage pools: rows, and what hosts have of them, kept in step. On a member that stands alone a pool's row is `Pending` from before the host is
 * touched until its work is done, and a daemon that finds it so at its start undoes it. What several members do together is in `ClusterPools`.
 */
@Injectable()
export class PoolsService {
  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly pools: PoolsRepository,
    private readonly parts: PoolParts,
    private readonly cluster: ClusterPools,
    private readonly users: PoolUsers,
    private readonly peers: Peers,
    private readonly member: LocalMember,
    private readonly events: EventBus,
  ) {}

  /** As this member sees it, or the one named; `not-found` with LXD's wording. */
  get(name: string, target = ''): PoolRow {
    return this.pools.get(this.database.read, name, this.cluster.memberNamed(target)?.id);
  }

  has(name: string): boolean {
    return this.pools.find(this.database.read, name) !== undefined;
  }

  list(): PoolRow[] {
    return this.pools.list(this.database.read);
  }

  /** What a driver needs here; refuses a pool that is being made or deleted on this member. */
  spec(name: string): PoolSpec {
    return usable(this.get(name), 'part');
  }

  /** The same inside a transaction, for decisions: new volumes are for pools that are everywhere. */
  specIn(tx: Tx, name: string): PoolSpec {
    return usable(this.pools.get(tx.sql, name), 'state');
  }

  /** What the driver of a pool can do. */
  capabilitiesOf(driver: string): Promise<StorageCapabilities | undefined> {
    return this.parts.capabilitiesOf(driver);
  }

  /** Without `target`, what members have in common and how the pool is as a whole; with it, that member's part. */
  api(row: PoolRow, target = ''): StoragePool {
    const { name, driver, description, locations } = row;
    const users = this.users.usersOfPool(this.database.read, name, target);
    const whole = this.member.clustered && target === '';
    return {
      config: whole ? row.common : row.config, description, name, driver, used_by: users.length === 0 ? null : users, status: this.status(row, target), locations,
    };
  }

  /** Covers what `api` shows. */
  etag(row: PoolRow, target = ''): unknown {
    return etagOfPool(this.member.clustered && target === '' ? { ...row, config: row.common } : row);
  }

  async resources(name: string, target = ''): Promise<ResourcesStoragePool> {
    const { id } = this.cluster.memberNamed(target) ?? this.member;
    this.get(name);
    const found = id === this.member.id ? await this.parts.describe(name) : await this.peers.call<PoolResources>(id, 'storage.describe-member-part', { pool: name });
    return { space: { used: found.usedBytes, total: found.totalBytes }, inodes: { used: found.usedInodes, total: found.totalInodes } };
  }

  async create(ctx: RequestContext, request: StoragePoolsPost, target = ''): Promise<void> {
    const { name, driver } = request;
    validatePoolName(name);
    if (driver === '') throw invalid('No driver provided');
    const config = compact(request.config);
    if (await this.cluster.create(ctx, { ...request, config }, target)) return;
    this.refuseExisting(this.pools.find(this.database.read, name));
    validatePoolConfig(driver, config);
    if ((await this.capabilitiesOf(driver)) === undefined) throw invalid(`Storage driver "${driver}" is not available on this host`);
    await this.parts.create(ctx, name, {
      begin: (tx) => {
        this.refuseExisting(this.pools.find(tx.sql, name));
        const id = this.pools.insert(tx, { name, driver, description: request.description, config: splitConfig(config).common });
        this.pools.insertPart(tx, id, { memberId: this.member.id, state: 'Creating', config });
      },
      finish: (tx, { id }) => {
        this.pools.setWholeState(tx, id, 'Created');
        this.announce(tx, ctx, 'storage-pool-created', name);
      },
    });
  }

  /** A pool that is on this host with all that is in it, and was mounted: only its rows are made. For recovery. */
  async adopt(ctx: RequestContext, pool: { readonly name: string; readonly driver: string; readonly description: string; readonly config: Config }): Promise<void> {
    const { name, driver, description } = pool;
    validatePoolName(name);
    const config = compact(pool.config);
    validatePoolConfig(driver, config);
    await this.transactions.run(ctx, (tx) => {
      this.refuseExisting(this.pools.find(tx.sql, name));
      const id = this.pools.insert(tx, { name, driver, description, config: splitConfig(config).common });
      this.pools.insertPart(tx, id, { memberId: this.member.id, state: 'Created', config });
      this.pools.setWholeState(tx, id, 'Created');
      this.announce(tx, ctx, 'storage-pool-created', name);
    });
  }

  /** PUT replaces, PATCH merges. The host changes first: growing or remounting again is harmless, a row that promises more is not. */
  async update(ctx: RequestContext, name: string, request: StoragePoolPut, options: PoolUpdate): Promise<void> {
    if (this.member.clustered) return this.cluster.update(ctx, name, request, options);
    const before = this.get(name);
    usable(before, 'part');
    checkEtag(options.ifMatch, etagOfPool(before));
    const after = merged(before, request, options.merge);
    validatePoolConfig(before.driver, after.config);
    refuseNewSource(before.config, after.config);
    await this.parts.change(ctx, name, after.config, (tx, row) => {
      checkEtag(options.ifMatch, etagOfPool(row));
      this.pools.update(tx, row.id, after);
      this.announce(tx, ctx, 'storage-pool-updated', name);
    });
  }

  async delete(ctx: RequestContext, name: string): Promise<void> {
    if (this.member.clustered) return this.cluster.delete(ctx, name);
    await this.parts.destroy(ctx, name, {
      begin: (tx) => {
        const { id } = this.pools.get(tx.sql, name);
        this.users.refuseUsed(tx.sql, name);
        this.pools.setWholeState(tx, id, 'Pending');
        this.pools.setPartState(tx, id, 'Deleting');
      },
      refused: (tx, { id }) => this.pools.setWholeState(tx, id, 'Created'),
      finish: (tx) => {
        this.pools.delete(tx, name);
        this.announce(tx, ctx, 'storage-pool-deleted', name);
      },
    });
  }

  /** Runs for every pool that `mountAll` finds in order. */
  onMounted(follow: (pool: PoolSpec) => Promise<void>): void {
    this.parts.onMounted(follow);
  }

  /** For the daemon's start, once the agent answers. */
  mountAll(): Promise<void> {
    return this.parts.settleAll();
  }

  private status(row: PoolRow, target: string): string {
    if (this.member.clustered) return target === '' ? row.state : shownPart(row.part);
    return row.state === 'Created' && this.parts.isUnavailable(row.name) ? 'Unavailable' : row.state;
  }

  private refuseExisting(row: PoolRow | undefined): void {
    if (row !== undefined) throw conflict('The storage pool already exists: The record already exists');
  }

  private announce(tx: Tx, ctx: RequestContext, action: string, name: string): void {
    tx.afterCommit(() => this.events.lifecycle({ action, source: apiUrl(['1.0', 'storage-pools', name]), project: 'default', requestor: ctx.requestor }));
  }
}

/** What the ETag of a pool covers. */
function etagOfPool({ name, driver, config }: Pick<PoolRow, 'name' | 'driver' | 'config'>): unknown {
  return [name, driver, config];
}

/** `part`: here, now. `state`: on all members. */
function usable(row: PoolRow, what: 'part' | 'state'): PoolSpec {
  if (row[what] !== 'Created') throw conflict(`Storage pool "${row.name}" is being created or deleted`);
  return specOf(row);
}

function shownPart(part: PoolRow['part']): string {
  if (part === null) return 'Unknown';
  return part === 'Created' ? 'Created' : 'Pending';
}
