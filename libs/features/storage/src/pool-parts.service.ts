import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { conflict, internalContext, invalid, KeyedMutex, LocalMember, Logger, messageOf, notFound, wrap, type RequestContext } from '#kernel';
import { Peers, StorageDriver, type PeerCaller, type PoolResources, type PoolSpec, type StorageCapabilities } from '#ports';
import { ChangeFeed, Database, TransactionRunner, type Tx } from '#platform/database';
import { hasJoined } from '#features/cluster';
import { PoolsRepository, type PoolRow } from './data/pools.repository.js';
import { askedConfig, changedKeys, refuseNewSource, type Config } from './rules/pool-config.rules.js';

const named = z.object({ pool: z.string() });
const withConfig = named.extend({ config: z.record(z.string(), z.string()) });

/** Rows that change in the same transactions as the part's own. */
export interface PartChange {
  /** Before the host is touched. */
  readonly begin?: (tx: Tx) => void;
  /** When its work is done. */
  readonly finish?: (tx: Tx, row: PoolRow) => void;
  /** When the host refused to destroy the part, which is there as before. */
  readonly refused?: (tx: Tx, row: PoolRow) => void;
}

/**
 * This member's parts of pools: what is done here, to this host, whichever member was asked. Everything may be repeated; changes of one part run
 * one after the other.
 *
 * A row says what is under way before the host is touched, so a daemon that died in between settles it at its next start. A part that is `Pending`
 * in a pool that is `Created` belongs to a member that joined: it is made as soon as the row arrives.
 */
@Injectable()
export class PoolParts {
  private readonly locks = new KeyedMutex();
  private readonly unavailable = new Set<string>();
  private readonly followers: ((pool: PoolSpec) => Promise<void>)[] = [];
  private capabilities: Promise<StorageCapabilities[]> | undefined;

  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly pools: PoolsRepository,
    private readonly driver: StorageDriver,
    private readonly member: LocalMember,
    private readonly logger: Logger,
    peers: Peers,
    feed: ChangeFeed,
  ) {
    const asked = <Request extends { pool: string }>(schema: z.ZodType<Request>, run: (ctx: RequestContext, request: Request) => Promise<object | void>) =>
      async (request: unknown, caller: PeerCaller): Promise<object | void> => {
        const ctx = { ...internalContext(caller.signal), requestor: caller.requestor };
        // The caller wrote rows before it called.
        await this.database.barrier(ctx);
        return run(ctx, schema.parse(request));
      };
    peers.handle('storage.create-member-part', asked(named, (ctx, { pool }) => this.create(ctx, pool)));
    peers.handle('storage.destroy-member-part', asked(named, (ctx, { pool }) => this.destroy(ctx, pool)));
    peers.handle('storage.apply-member-part', asked(withConfig, (_, { pool, config }) => this.apply(pool, config)));
    peers.handle('storage.change-member-part', asked(withConfig, (ctx, { pool, config }) => this.change(ctx, pool, config)));
    peers.handle('storage.describe-member-part', asked(named, (_, { pool }) => this.describe(pool)));
    feed.onReset(() => this.unavailable.clear());
  }

  /** What the driver of a pool can do here. Asked once. */
  async capabilitiesOf(driver: string): Promise<StorageCapabilities | undefined> {
    this.capabilities ??= this.driver.capabilities().catch((error: unknown) => {
      this.capabilities = undefined;
      throw error;
    });
    return (await this.capabilities).find((one) => one.driver === driver);
  }

  isUnavailable(name: string): boolean {
    return this.unavailable.has(name);
  }

  /** Runs for every pool that is found in order when pools are mounted. */
  onMounted(follow: (pool: PoolSpec) => Promise<void>): void {
    this.followers.push(follow);
  }

  describe(name: string): Promise<PoolResources> {
    return this.driver.describePool(specOf(this.pools.get(this.database.read, name)));
  }

  /** With `begin`, which inserts the pool's rows, a failure takes the pool away again; without, the part is `Pending` as before. */
  async create(ctx: RequestContext, name: string, also: PartChange = {}): Promise<void> {
    await this.locks.run(name, async () => {
      if (also.begin !== undefined) await this.runner.run(ctx, also.begin);
      await this.make(ctx, this.pools.get(this.database.read, name), also);
    });
  }

  /** Absent is success. Where the host refuses, the part is there as before. */
  async destroy(ctx: RequestContext, name: string, also: PartChange = {}): Promise<void> {
    await this.locks.run(name, async () => {
      if (also.begin !== undefined) await this.runner.run(ctx, also.begin);
      const row = this.pools.find(this.database.read, name);
      if (row === undefined) return;
      if (row.part !== null && row.part !== 'Pending') {
        try {
          await this.driver.destroyPool(specOf(row));
        } catch (error) {
          await this.runner.run(internalContext(), (tx) => {
            this.pools.setPartState(tx, row.id, 'Created');
            also.refused?.(tx, row);
          });
          throw wrap(error, `Failed deleting storage pool "${name}"`);
        }
      }
      await this.recordAbsence(ctx, row, also.finish);
      this.unavailable.delete(name);
    });
  }

  /** What all members have in common is another: the host follows. Growing or remounting again is harmless. */
  async apply(name: string, config: Config): Promise<void> {
    await this.locks.run(name, async () => {
      const row = this.pools.get(this.database.read, name);
      if (row.part !== 'Created') return;
      const before = specOf(row);
      const after = { ...before, config: { ...config, ...memberOnly(row) } };
      await this.updateHost(after, changedKeys(before.config, after.config));
    });
  }

  /** The configuration as this member has it is another; the host first, since a row that promises more than there is does harm. */
  async change(ctx: RequestContext, name: string, config: Config, finish: PartChange['finish'] = () => {}): Promise<void> {
    await this.locks.run(name, async () => {
      const row = this.pools.get(this.database.read, name);
      if (row.part !== 'Created') throw conflict(`Storage pool "${name}" is being created or deleted`);
      refuseNewSource(row.config, config);
      await this.updateHost({ ...specOf(row), config }, changedKeys(row.config, config));
      await this.runner.run(ctx, (tx) => {
        const current = this.pools.get(tx.sql, name);
        this.pools.updatePart(tx, current.id, config);
        finish(tx, current);
      });
    });
  }

  /** For the daemon's start, once the agent answers: settles what was cut short, mounts what is there. */
  async settleAll(): Promise<void> {
    for (const { name } of this.pools.list(this.database.read)) await this.settleOne(name).catch(() => {});
  }

  /** The same for parts that want something: those that are not made, and those that could not be mounted, which are shown as unavailable. */
  async settleOpen(): Promise<void> {
    const open = this.pools.list(this.database.read).filter(({ name, part }) => part !== 'Created' || this.unavailable.has(name));
    for (const { name } of open) await this.settleOne(name).catch(() => {});
  }

  /** For a member that has joined: makes its parts of all pools; the first that cannot be made is an error. */
  async makeJoined(): Promise<void> {
    for (const { name } of this.pools.list(this.database.read)) await this.settleOne(name);
  }

  /** This member goes: its host's parts are cleared, its rows go with it, or have gone already. A pool that cannot be cleared keeps no other from it. */
  async clearHost(): Promise<void> {
    for (const row of this.pools.list(this.database.read)) {
      await this.locks.run(row.name, () => this.driver.destroyPool(specOf(row))).catch((error: unknown) => {
        this.logger.error('Failed to clear a storage pool of a cluster this member leaves', { pool: row.name, error: messageOf(error) });
      });
    }
  }

  private async settleOne(name: string): Promise<void> {
    await this.locks.run(name, async () => {
      try {
        await this.settle(name);
        this.unavailable.delete(name);
      } catch (error) {
        this.unavailable.add(name);
        this.logger.error('Storage pool is not available', { pool: name, error: messageOf(error) });
        throw error;
      }
    });
  }

  private async settle(name: string): Promise<void> {
    const row = this.pools.find(this.database.read, name);
    if (row === undefined) return;
    const ctx = internalContext();
    if (row.part === null) return this.makeMissed(ctx, row);
    // Alone there is nobody else who could be making the pool.
    const abandoned = row.state === 'Pending' && !this.member.clustered;
    if (row.part === 'Deleting' || (abandoned && row.part !== 'Created')) return this.unmake(ctx, row, (tx, current) => this.deleteUnlessAwaited(tx, current));
    if (row.part === 'Creating') await this.unmake(ctx, row);
    if (row.part !== 'Created') {
      if (row.state === 'Created') await this.make(ctx, this.pools.get(this.database.read, name), {});
      return;
    }
    await this.driver.ensurePoolMounted(specOf(row));
    for (const follow of this.followers) await follow(specOf(row));
  }

  /** A pool that was made while this member joined, when nobody counted with it yet. */
  private async makeMissed(ctx: RequestContext, { id, name, state }: PoolRow): Promise<void> {
    if (state !== 'Created' || !hasJoined(this.database.read, this.member.id)) return;
    await this.runner.run(ctx, (tx) => {
      if (this.pools.get(tx.sql, name).part === null) this.pools.insertPart(tx, id, { memberId: this.member.id, state: 'Pending', config: {} });
    });
    await this.make(ctx, this.pools.get(this.database.read, name), {});
  }

  private async make(ctx: RequestContext, row: PoolRow, also: PartChange): Promise<void> {
    const { id, name, driver } = row;
    if (row.part === 'Created') return;
    if (row.part === null) throw notFound(`Storage pool "${name}" is not defined on this member`);
    if ((await this.capabilitiesOf(driver)) === undefined) throw invalid(`Storage driver "${driver}" is not available on this host`);
    if (row.part !== 'Creating') await this.runner.run(ctx, (tx) => this.pools.setPartState(tx, id, 'Creating'));
    try {
      const made = await this.driver.createPool(specOf(row));
      await this.runner.run(ctx, (tx) => {
        const current = this.pools.get(tx.sql, name);
        this.pools.updatePart(tx, id, made.config);
        this.pools.setPartState(tx, id, 'Created');
        also.finish?.(tx, current);
      });
    } catch (error) {
      await this.unmake(internalContext(), row, also.begin && ((tx) => this.pools.delete(tx, name))).catch((undoing: unknown) => {
        this.logger.error('Failed to undo the creation of a storage pool; the next start tries again', { pool: name, error: messageOf(undoing) });
      });
      throw error;
    }
  }

  private async unmake(ctx: RequestContext, row: PoolRow, finish?: PartChange['finish']): Promise<void> {
    await this.driver.destroyPool(specOf(row));
    await this.recordAbsence(ctx, row, finish);
  }

  /** The host has nothing of it: the part is `Pending` again, with what it was asked for. */
  private async recordAbsence(ctx: RequestContext, row: PoolRow, finish: PartChange['finish'] = () => {}): Promise<void> {
    await this.runner.run(ctx, (tx) => {
      const current = this.pools.find(tx.sql, row.name);
      if (current?.id !== row.id) return;
      this.pools.updatePart(tx, row.id, askedConfig(row.name, row.config));
      this.pools.setPartState(tx, row.id, 'Pending');
      finish(tx, current);
    });
  }

  /** Whoever clears the last part of a pool that is being deleted, and whose deletion was cut short, ends it. */
  private deleteUnlessAwaited(tx: Tx, row: PoolRow): void {
    if (this.pools.parts(tx.sql, row.id).every(({ state }) => state === 'Pending')) this.pools.delete(tx, row.name);
  }

  private async updateHost(spec: PoolSpec, changed: Config): Promise<void> {
    if (Object.keys(changed).every((key) => key.startsWith('user.') || key.startsWith('volume.'))) return;
    await this.driver.updatePool(spec, changed);
  }
}

export function specOf({ name, driver, config }: PoolRow): PoolSpec {
  return { name, driver, config };
}

/** Its keys, whatever the pool has in common. */
function memberOnly({ common, config }: PoolRow): Config {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !Object.hasOwn(common, key)));
}
