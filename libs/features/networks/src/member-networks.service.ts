import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { internalContext, LocalMember, Logger, messageOf, Mutex, notFound, randomHex, wrap, type RequestContext } from '#kernel';
import { NetworkDriver, Peers, type NetworkSpec, type PeerCaller } from '#ports';
import { ChangeFeed, Database, TransactionRunner, type Tx } from '#platform/database';
import { hasJoined } from '#features/cluster';
import { NetworksRepository, type NetworkRow } from './data/networks.repository.js';
import { NetworkSpecs } from './network-specs.service.js';
import { bridgeHwaddr, hiddenKeys, validateNetworkConfig, visibleConfig, type Config } from './rules/network-config.rules.js';

const numbered = z.object({ id: z.number() });
const withConfig = numbered.extend({ config: z.record(z.string(), z.string()) });

/**
 * This member's parts of networks: links, addresses, rules and dnsmasq of this host as the rows want them, whichever member was asked. Everything
 * may be repeated. One change at a time, so that a reconciler never puts an old specification back over a new one.
 *
 * Rows decide: a network whose row changed is brought up again with what it says now, by the call of whoever changed it or, if that one died, by the
 * next look at the rows. A part that is `Pending` in a network that is `Created` belongs to a member that joined, and is made.
 */
@Injectable()
export class MemberNetworks {
  readonly changing = new Mutex();
  /** By id, what the host was told last, as text. */
  private readonly told = new Map<number, string>();
  /** This member is leaving: nothing is brought up again before its database is another one. */
  private cleared = false;

  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly networks: NetworksRepository,
    private readonly specs: NetworkSpecs,
    private readonly driver: NetworkDriver,
    private readonly member: LocalMember,
    private readonly logger: Logger,
    peers: Peers,
    feed: ChangeFeed,
  ) {
    feed.onReset(() => {
      this.told.clear();
      this.cleared = false;
    });
    const asked = <Request extends { id: number }>(schema: z.ZodType<Request>, run: (ctx: RequestContext, request: Request) => Promise<void>) =>
      async (request: unknown, caller: PeerCaller): Promise<void> => {
        const ctx = { ...internalContext(caller.signal), requestor: caller.requestor };
        // The caller wrote rows before it called.
        await this.database.barrier(ctx);
        await this.changing.run(() => run(ctx, schema.parse(request)));
      };
    peers.handle('networks.create-member-part', asked(numbered, (ctx, { id }) => this.make(ctx, this.row(id))));
    peers.handle('networks.destroy-member-part', asked(numbered, (ctx, { id }) => this.destroy(ctx, id)));
    peers.handle('networks.ensure-member-part', asked(numbered, (_, { id }) => this.ensureCreated(id)));
    peers.handle('networks.change-member-part', asked(withConfig, (ctx, { id, config }) => this.change(ctx, id, config)));
  }

  /** Tells the host, and remembers what. */
  async ensure(id: number, spec: NetworkSpec): Promise<void> {
    this.told.delete(id);
    await this.driver.ensureNetwork(spec);
    this.told.set(id, textOf(spec));
  }

  /** For the daemon's start, once the agent answers: settles what was cut short and brings every network up. */
  ensureAll(): Promise<void> {
    return this.changing.run(async () => {
      this.told.clear();
      await Promise.all(this.networks.listAll(this.database.read).map((row) => this.settle(row).catch((error: unknown) => this.report(row, error))));
    });
  }

  /** Restores what somebody else took away, makes what is new, and follows rows that have changed. */
  restore(): Promise<void> {
    return this.changing.run(async () => {
      if (this.cleared) return;
      const rows = this.networks.listAll(this.database.read);
      const current: NetworkSpec[] = [];
      for (const row of rows) {
        let spec = this.currentSpec(row);
        if (spec === null && !isAbandoned(row, this.member)) {
          await this.settle(row).catch((error: unknown) => this.report(row, error));
          spec = this.currentSpec(row);
        }
        if (spec !== null && row.part === 'Created') current.push(spec);
      }
      if (current.length === 0) return;
      const restored = await this.driver.reconcileNetworks(current);
      if (restored.length > 0) this.logger.warn('Restored networks', { restored });
    });
  }

  /** Takes all networks down but keeps their leases: for a shutdown of the whole member. */
  stopAll(): Promise<void> {
    return this.changing.run(async () => {
      this.told.clear();
      await Promise.all(this.created().map((row) => this.driver.stopNetwork(specOf(row)).catch((error: unknown) => {
        this.logger.error('Failed to take a network down', { network: row.name, error: messageOf(error) });
      })));
    });
  }

  /** For a member that has joined: makes its parts of all networks; the first that cannot be made is an error. */
  makeJoined(): Promise<void> {
    return this.changing.run(async () => {
      for (const row of this.networks.listAll(this.database.read)) await this.settle(row);
    });
  }

  /** This member goes: its host's parts are removed, its rows go with it, or have gone already. */
  clearHost(): Promise<void> {
    return this.changing.run(async () => {
      this.cleared = true;
      for (const row of this.networks.listAll(this.database.read)) await this.remove(row);
    });
  }

  async remove(row: NetworkSpec & { readonly id: number }): Promise<void> {
    this.told.delete(row.id);
    await this.driver.removeNetwork(specOf(row));
  }

  /** What the host was told last, if that is what it should be told. */
  private currentSpec(row: NetworkRow): NetworkSpec | null {
    const told = this.told.get(row.id);
    if (told === undefined) return null;
    try {
      const spec = this.specs.of(row);
      return told === textOf(spec) ? spec : null;
    } catch {
      return null; // Settling it tells why.
    }
  }

  private created(): NetworkRow[] {
    return this.networks.listAll(this.database.read).filter(({ part }) => part === 'Created');
  }

  private row(id: number): NetworkRow {
    const row = this.networks.findById(this.database.read, id);
    if (row === undefined) throw notFound('Network not found');
    return row;
  }

  private async ensureCreated(id: number): Promise<void> {
    const row = this.row(id);
    if (row.part === 'Created') await this.ensure(id, this.specs.of(row));
  }

  /** Its own keys; the host follows first, and is put back when the row cannot follow. */
  private async change(ctx: RequestContext, id: number, config: Config): Promise<void> {
    const before = this.row(id);
    const after = this.specs.of({ ...before, config: { ...before.common, ...config } });
    try {
      if (before.part === 'Created') await this.ensure(id, after);
      await this.runner.run(ctx, (tx) => this.networks.updatePart(tx, id, config));
    } catch (error) {
      if (before.part === 'Created') await this.ensure(id, this.specs.of(before)).catch((undoing: unknown) => this.report(before, undoing));
      throw error;
    }
  }

  private async settle(row: NetworkRow): Promise<void> {
    const ctx = internalContext();
    if (isAbandoned(row, this.member)) {
      await this.remove(row);
      await this.runner.run(ctx, (tx) => this.networks.delete(tx, row.id));
      return;
    }
    if (row.part === null) return this.makeMissed(ctx, row);
    if (row.part === 'Deleting') return this.unmake(ctx, row, (tx) => this.deleteUnlessAwaited(tx, row.id));
    if (row.part === 'Creating') await this.unmake(ctx, row);
    const renamedTo = row.config[hiddenKeys.renameTo];
    if (row.part !== 'Created') {
      if (row.state === 'Created') await this.make(ctx, this.row(row.id));
    } else if (renamedTo !== undefined) await this.undoRename(row, renamedTo);
    else await this.ensure(row.id, this.specs.of(row));
  }

  /** A network that was made while this member joined, when nobody counted with it yet. */
  private async makeMissed(ctx: RequestContext, { id, state }: NetworkRow): Promise<void> {
    if (state !== 'Created' || !hasJoined(this.database.read, this.member.id)) return;
    await this.runner.run(ctx, (tx) => {
      if (this.networks.findById(tx.sql, id)?.part === null) this.networks.insertPart(tx, id, { memberId: this.member.id, state: 'Pending', config: {} });
    });
    await this.make(ctx, this.row(id));
  }

  private async make(ctx: RequestContext, row: NetworkRow): Promise<void> {
    if (row.part === 'Created') return;
    if (row.part === null) throw notFound(`Network "${row.name}" is not defined on this member`);
    // A member that joins brings keys of its own, or fails to.
    validateNetworkConfig(row.type, row.name, visibleConfig(row.config));
    // The bridge's own address is chosen once and stays.
    const config = row.type === 'bridge' ? { ...row.config, [hiddenKeys.hwaddr]: row.config[hiddenKeys.hwaddr] ?? bridgeHwaddr(randomHex(3)) } : row.config;
    await this.runner.run(ctx, (tx) => {
      this.networks.updatePart(tx, row.id, config);
      this.networks.setPartState(tx, row.id, 'Creating');
    });
    try {
      await this.ensure(row.id, this.specs.of({ ...row, config }));
      await this.runner.run(ctx, (tx) => this.networks.setPartState(tx, row.id, 'Created'));
    } catch (error) {
      // A link that was there before is not ours, and the driver leaves it alone.
      await this.unmake(internalContext(), row).catch((undoing: unknown) => this.report(row, undoing));
      throw error;
    }
  }

  private async destroy(ctx: RequestContext, id: number): Promise<void> {
    const row = this.networks.findById(this.database.read, id);
    if (row === undefined || row.part === null || row.part === 'Pending') return;
    try {
      await this.remove(row);
    } catch (error) {
      await this.runner.run(internalContext(), (tx) => this.networks.setPartState(tx, id, 'Created'));
      throw wrap(error, `Failed deleting network "${row.name}"`);
    }
    await this.runner.run(ctx, (tx) => this.networks.setPartState(tx, id, 'Pending'));
  }

  private async unmake(ctx: RequestContext, row: NetworkRow, finish: (tx: Tx) => void = () => {}): Promise<void> {
    await this.remove(row);
    await this.runner.run(ctx, (tx) => {
      if (this.networks.findById(tx.sql, row.id) === undefined) return;
      this.networks.setPartState(tx, row.id, 'Pending');
      finish(tx);
    });
  }

  /** Whoever clears the last part of a network that is being deleted, and whose deletion was cut short, ends it. */
  private deleteUnlessAwaited(tx: Tx, id: number): void {
    if (this.networks.parts(tx.sql, id).every(({ state }) => state === 'Pending')) this.networks.delete(tx, id);
  }

  /** Back to the old name, whichever of the two the link bears. */
  async undoRename(row: NetworkRow, newName: string): Promise<void> {
    const { [hiddenKeys.renameTo]: _, ...config } = row.config;
    this.told.delete(row.id);
    await this.driver.renameNetwork({ ...this.specs.of({ ...row, config }), name: newName }, row.name);
    await this.runner.run(internalContext(), (tx) => this.networks.update(tx, row.id, { description: row.description, config }));
  }

  private report(row: NetworkRow, error: unknown): void {
    this.logger.error('Network is not available', { network: row.name, error: messageOf(error) });
  }
}

/** What tells the driver which network is meant; `NetworkSpecs` has the whole. */
export function specOf({ name, type, config }: NetworkSpec): NetworkSpec {
  return { name, type, config };
}

/** The same for the same, whatever the order of the keys. */
function textOf({ name, type, config, forwards, acl }: NetworkSpec): string {
  return JSON.stringify([name, type, Object.entries(config).sort(), forwards, acl]);
}

/** Alone there is nobody else who could be making a network that is not made. */
function isAbandoned({ state }: NetworkRow, member: LocalMember): boolean {
  return state === 'Pending' && !member.clustered;
}
