import { Injectable } from '@nestjs/common';
import { findRootDisk } from '#config-schema';
import { internal, messageOf, type RequestContext } from '#kernel';
import type { IdmapEntry } from '#ports';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { ProfileUsage, type ProfileChange, type ProfileFailure, type ProfileRow, type ProfileUser } from '#features/profiles';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceRepository, type InstanceRow } from './data/instance.repository.js';
import { InstanceChangeParts } from './instance-change-parts.js';
import { instanceUrl } from './instance-urls.js';

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
  ) {}

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

  async apply(ctx: RequestContext, change: ProfileChange): Promise<ProfileFailure[]> {
    const failures: ProfileFailure[] = [];
    const hostIdmap = await this.changes.hostIdmap();
    for (const row of this.repository.listByProfile(this.database.read, change.after.id)) {
      try {
        await this.changes.exclusively(row.id, () => this.applyTo(ctx, row, change, hostIdmap));
      } catch (error) {
        failures.push({ project: row.project, instance: row.name, error: messageOf(error) });
      }
    }
    return failures;
  }

  private async applyTo(ctx: RequestContext, { id }: InstanceRow, { before }: ProfileChange, hostIdmap: readonly IdmapEntry[]): Promise<void> {
    const current = this.catalog.findById(id);
    if (current === undefined) return;
    const former = this.catalog.expand(current.row, undefined, before);
    await this.runner.run(ctx, (tx) => {
      const row = this.repository.findById(id, tx.sql);
      if (row !== undefined) this.changes.rows.settle(tx, row, former.expandedConfig, hostIdmap);
    });
    const now = this.catalog.findById(id) ?? current;
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
