import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { ResourcesStoragePool, StoragePool, StoragePoolPut, StoragePoolsPost } from '#api-types';
import { conflict, internalContext, invalid, KeyedMutex, Logger, messageOf, wrap, type RequestContext } from '#kernel';
import { StorageDriver, type PoolSpec, type StorageCapabilities } from '#ports';
import { Database, TransactionRunner, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { PoolsRepository, type PoolRow } from './data/pools.repository.js';
import { PoolUsers } from './pool-users.service.js';
import { changedKeys, compact, validatePoolConfig, type Config } from './rules/pool-config.rules.js';
import { validatePoolName } from './rules/names.rules.js';

const remountPeriodMs = 60_000;
const inUse = 'The storage pool is currently in use';

/**
 * Storage pools: rows and the host's backing stores kept in step.
 *
 * A pool's row is `Pending` from before the host is touched until its work is done, both when it is made and when it is deleted. A
 * daemon that dies in between finds the row at its next start and clears both, which is safe because the driver clears only what it
 * made for that pool. Changes of one pool run one after the other.
 */
@Injectable()
export class PoolsService implements OnApplicationShutdown {
  private readonly locks = new KeyedMutex();
  private readonly unavailable = new Set<string>();
  private readonly followers: ((pool: PoolSpec) => Promise<void>)[] = [];
  private capabilities: Promise<StorageCapabilities[]> | undefined;
  private retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly pools: PoolsRepository,
    private readonly users: PoolUsers,
    private readonly driver: StorageDriver,
    private readonly events: EventBus,
    private readonly logger: Logger,
  ) {}

  onApplicationShutdown(): void {
    clearTimeout(this.retry);
  }

  /** `not-found` with LXD's wording. */
  get(name: string): PoolRow {
    return this.pools.get(this.database.read, name);
  }

  list(): PoolRow[] {
    return this.pools.list(this.database.read);
  }

  /** What a driver needs; refuses a pool that is being made or deleted. */
  spec(name: string): PoolSpec {
    return usable(this.get(name));
  }

  /** The same inside a transaction, for decisions. */
  specIn(tx: Tx, name: string): PoolSpec {
    return usable(this.pools.get(tx.sql, name));
  }

  /** What the driver of a pool can do. Asked once. */
  async capabilitiesOf(driver: string): Promise<StorageCapabilities | undefined> {
    this.capabilities ??= this.driver.capabilities().catch((error: unknown) => {
      this.capabilities = undefined;
      throw error;
    });
    return (await this.capabilities).find((one) => one.driver === driver);
  }

  api(row: PoolRow): StoragePool {
    const { name, driver, description, config, locations } = row;
    const users = this.users.usersOfPool(this.database.read, name);
    const status = row.state === 'Created' && this.unavailable.has(name) ? 'Unavailable' : row.state;
    return { config, description, name, driver, used_by: users.length === 0 ? null : users, status, locations };
  }

  async resources(name: string): Promise<ResourcesStoragePool> {
    const found = await this.driver.describePool(this.spec(name));
    return { space: { used: found.usedBytes, total: found.totalBytes }, inodes: { used: found.usedInodes, total: found.totalInodes } };
  }

  async create(ctx: RequestContext, request: StoragePoolsPost): Promise<void> {
    const { name, driver, description } = request;
    validatePoolName(name);
    if (driver === '') throw invalid('No driver provided');
    this.refuseExisting(this.pools.find(this.database.read, name));
    const config = compact(request.config);
    validatePoolConfig(driver, config);
    if ((await this.capabilitiesOf(driver)) === undefined) throw invalid(`Storage driver "${driver}" is not available on this host`);
    await this.locks.run(name, async () => {
      await this.runner.run(ctx, (tx) => {
        this.refuseExisting(this.pools.find(tx.sql, name));
        this.pools.insertPending(tx, { name, driver, description, config });
      });
      try {
        const made = await this.driver.createPool({ name, driver, config });
        await this.runner.run(ctx, (tx) => {
          const row = this.pools.get(tx.sql, name);
          this.pools.update(tx, row.id, { description, config: made.config });
          this.pools.setState(tx, row.id, 'Created');
          this.announce(tx, ctx, 'storage-pool-created', name);
        });
      } catch (error) {
        await this.clear({ name, driver, config }).catch((undoing: unknown) => {
          this.logger.error('Failed to undo the creation of a storage pool; the next start tries again', { pool: name, error: messageOf(undoing) });
        });
        throw error;
      }
    });
  }

  /** PUT replaces, PATCH merges. The host changes first: growing or remounting again is harmless, a row that promises more is not. */
  async update(ctx: RequestContext, name: string, request: StoragePoolPut, options: { merge: boolean; ifMatch: string | undefined }): Promise<void> {
    await this.locks.run(name, async () => {
      const before = this.get(name);
      usable(before);
      checkEtag(options.ifMatch, etagOfPool(before));
      const after = merged(before, request, options.merge);
      validatePoolConfig(before.driver, after.config);
      if ((after.config['source'] ?? '') !== (before.config['source'] ?? '')) throw invalid('Pool source cannot be changed when not in pending state');
      const changed = changedKeys(before.config, after.config);
      if (Object.keys(changed).some((key) => !key.startsWith('user.') && !key.startsWith('volume.'))) {
        await this.driver.updatePool({ name, driver: before.driver, config: after.config }, changed);
      }
      await this.runner.run(ctx, (tx) => {
        const row = this.pools.get(tx.sql, name);
        checkEtag(options.ifMatch, etagOfPool(row));
        this.pools.update(tx, row.id, after);
        this.announce(tx, ctx, 'storage-pool-updated', name);
      });
    });
  }

  async delete(ctx: RequestContext, name: string): Promise<void> {
    await this.locks.run(name, async () => {
      const pool = await this.runner.run(ctx, (tx) => {
        const row = this.pools.get(tx.sql, name);
        if (this.users.blockersOfPool(tx.sql, name).length > 0) throw invalid(inUse);
        this.pools.setState(tx, row.id, 'Pending');
        return row;
      });
      try {
        await this.driver.destroyPool(specOf(pool));
      } catch (error) {
        await this.runner.run(internalContext(), (tx) => this.pools.setState(tx, pool.id, 'Created'));
        throw wrap(error, `Failed deleting storage pool "${name}"`);
      }
      await this.runner.run(ctx, (tx) => {
        this.pools.delete(tx, name);
        this.announce(tx, ctx, 'storage-pool-deleted', name);
      });
      this.unavailable.delete(name);
    });
  }

  /** Runs for every pool that `mountAll` finds in order. */
  onMounted(follow: (pool: PoolSpec) => Promise<void>): void {
    this.followers.push(follow);
  }

  /**
   * For the daemon's start, once the agent answers: clears pools whose creation or deletion was cut short, mounts the others. One
   * that cannot be mounted is shown as unavailable and tried again each minute.
   */
  async mountAll(): Promise<void> {
    clearTimeout(this.retry);
    for (const { name } of this.list()) {
      await this.locks.run(name, async () => {
        const row = this.pools.find(this.database.read, name);
        if (row === undefined) return;
        try {
          if (row.state === 'Pending') return await this.clear(specOf(row));
          await this.driver.ensurePoolMounted(specOf(row));
          this.unavailable.delete(name);
          for (const follow of this.followers) await follow(specOf(row));
        } catch (error) {
          this.unavailable.add(name);
          this.logger.error('Storage pool is not available', { pool: name, error: messageOf(error) });
        }
      });
    }
    if (this.unavailable.size > 0) this.retry = setTimeout(() => void this.mountAll().catch(() => {}), remountPeriodMs).unref();
  }

  private async clear(pool: PoolSpec): Promise<void> {
    await this.driver.destroyPool(pool);
    await this.runner.run(internalContext(), (tx) => this.pools.delete(tx, pool.name));
  }

  private refuseExisting(row: PoolRow | undefined): void {
    if (row !== undefined) throw conflict('The storage pool already exists: The record already exists');
  }

  private announce(tx: Tx, ctx: RequestContext, action: string, name: string): void {
    tx.afterCommit(() => this.events.lifecycle({ action, source: apiUrl(['1.0', 'storage-pools', name]), project: 'default', requestor: ctx.requestor }));
  }
}

/** What the ETag of a pool covers. */
export function etagOfPool({ name, driver, config }: Pick<PoolRow, 'name' | 'driver' | 'config'>): unknown {
  return [name, driver, config];
}

function specOf({ name, driver, config }: PoolRow): PoolSpec {
  return { name, driver, config };
}

function usable(row: PoolRow): PoolSpec {
  if (row.state !== 'Created') throw conflict(`Storage pool "${row.name}" is being created or deleted`);
  return specOf(row);
}

function merged(before: PoolRow, request: StoragePoolPut, merge: boolean): { description: string; config: Config } {
  return {
    description: request.description ?? (merge ? before.description : ''),
    config: compact(merge ? { ...before.config, ...request.config } : request.config),
  };
}
