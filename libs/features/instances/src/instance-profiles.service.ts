import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { findRootDisk } from '#config-schema';
import { internal, internalContext, LocalMember, messageOf, type RequestContext } from '#kernel';
import { Peers, type IdmapEntry, type PeerCaller } from '#ports';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { ProfileUsage, type ProfileChange, type ProfileFailure, type ProfileRow, type ProfileUser } from '#features/profiles';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceRepository, type InstanceRow } from './data/instance.repository.js';
import { InstanceChangeParts } from './instance-change-parts.js';
import { instanceUrl } from './instance-urls.js';
import { handleChecked } from './members/checked-handlers.js';

const applyMs = 120_000;
const profile = z.looseObject({ id: z.int(), name: z.string(), config: z.record(z.string(), z.string()), devices: z.record(z.string(), z.record(z.string(), z.string())) });
const changeRequest = z.object({ before: profile, after: profile });

/** What a changed profile means for the instances that use it. */
@Injectable()
export class InstanceProfiles implements ProfileUser {
  constructor(
    private readonly usage: ProfileUsage,
    private readonly repository: InstanceRepository,
    private readonly catalog: InstanceCatalog,
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly changes: InstanceChangeParts,
    private readonly peers: Peers,
    private readonly self: LocalMember,
  ) {
    handleChecked(peers, 'instances.apply-profile', changeRequest, (change, caller) => this.applyHere(change as unknown as ProfileChange, caller));
  }

  register(): void {
    this.usage.register(this);
  }

  usedBy(sql: Sql, profile: ProfileRow): string[] {
    return this.repository.listByProfile(sql, profile.id).map(instanceUrl);
  }

  /** The root disk of an instance cannot move to another pool by a profile. */
  check(tx: Tx, { before, after }: ProfileChange): void {
    for (const row of this.repository.listByProfile(tx.sql, before.id)) {
      if (rootPool(this.catalog.expand(row, tx.sql, before)) !== rootPool(this.catalog.expand(row, tx.sql, after))) {
        throw internal("At least one instance relies on this profile's root disk device");
      }
    }
  }

  /** Each member brings its own instances in line; rows of members that are offline are settled here, their hosts follow at the next start. */
  async apply(ctx: RequestContext, change: ProfileChange): Promise<ProfileFailure[]> {
    const rows = this.repository.listByProfile(this.database.read, change.after.id);
    const elsewhere = [...new Set(rows.map(({ memberId }) => memberId))].filter((id) => id !== this.self.id && this.peers.isOnline(id));
    const others = Promise.all(elsewhere.map((id) => this.applyElsewhere(ctx, id, rows, change)));
    const failures = await this.applyTo(ctx, rows.filter(({ memberId }) => !elsewhere.includes(memberId)), change);
    return [...failures, ...(await others).flat()];
  }

  private async applyElsewhere(ctx: RequestContext, memberId: number, rows: readonly InstanceRow[], change: ProfileChange): Promise<ProfileFailure[]> {
    try {
      const reply = await this.peers.call<{ failures: ProfileFailure[] }>(memberId, 'instances.apply-profile', change, { timeoutMs: applyMs, requestor: ctx.requestor });
      return reply.failures;
    } catch (error) {
      return rows.filter((row) => row.memberId === memberId).map((row) => ({ project: row.project, instance: row.name, error: messageOf(error) }));
    }
  }

  private async applyHere(change: ProfileChange, { requestor }: PeerCaller): Promise<{ failures: ProfileFailure[] }> {
    const ctx = { ...internalContext(), requestor };
    await this.database.barrier(ctx);
    const rows = this.repository.listByProfile(this.database.read, change.after.id).filter(({ memberId }) => memberId === this.self.id);
    return { failures: await this.applyTo(ctx, rows, change) };
  }

  private async applyTo(ctx: RequestContext, rows: readonly InstanceRow[], change: ProfileChange): Promise<ProfileFailure[]> {
    const failures: ProfileFailure[] = [];
    const hostIdmap = await this.changes.hostIdmap();
    for (const row of rows) {
      try {
        await this.changes.exclusively(row.id, () => this.applyToOne(ctx, row, change, hostIdmap));
      } catch (error) {
        failures.push({ project: row.project, instance: row.name, error: messageOf(error) });
      }
    }
    return failures;
  }

  private async applyToOne(ctx: RequestContext, { id }: InstanceRow, { before }: ProfileChange, hostIdmap: readonly IdmapEntry[]): Promise<void> {
    const current = this.catalog.findById(id);
    if (current === undefined) return;
    const former = this.catalog.expand(current.row, undefined, before);
    await this.runner.run(ctx, (tx) => {
      const row = this.repository.findById(id, tx.sql);
      if (row !== undefined) this.changes.rows.settle(tx, row, former, hostIdmap);
    });
    const now = this.catalog.findById(id) ?? current;
    this.changes.checkDisks(former, now, this.database.read);
    if (!this.catalog.isLocal(now)) return;
    // One that is stopped gets the whole of it at its next start; only its volume and leases do not wait.
    if (this.changes.isRunning(now) || JSON.stringify(former.expandedDevices) !== JSON.stringify(now.expandedDevices)) await this.changes.applyOnHost(former, now);
  }
}

function rootPool({ expandedDevices }: ExpandedInstance): string | undefined {
  try {
    return findRootDisk(expandedDevices).config['pool'];
  } catch {
    return undefined;
  }
}
