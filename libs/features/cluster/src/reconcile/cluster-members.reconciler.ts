import { Inject, Injectable, Optional } from '@nestjs/common';
import { Clock, internalContext, LocalMember } from '#kernel';
import { Database } from '#platform/database';
import { Reconciler } from '#platform/reconcile';
import { MemberLiveness } from '#ports';
import { WarningsWriter } from '#features/warnings';
import { ClusterMembers } from '../cluster-members.service.js';
import { MembersRepository, type MemberRow } from '../data/members.repository.js';
import { joiningSince } from '../join/admissions.service.js';
import { MemberRemoval } from '../member-removal.service.js';
import { Witnesses } from '../witness/witnesses.service.js';

const pendingMs = 60_000;

/**
 * What the leader sees to: no row stays of a member that began to join and is gone for a minute, and whoever is offline has a warning until it is
 * back. Every member runs it; those that do not lead do nothing.
 */
@Injectable()
export class ClusterMembersReconciler extends Reconciler {
  readonly name = 'cluster-members';
  readonly periodMs = 5000;

  constructor(
    private readonly members: ClusterMembers,
    private readonly repository: MembersRepository,
    private readonly removal: MemberRemoval,
    private readonly witnesses: Witnesses,
    private readonly warnings: WarningsWriter,
    private readonly database: Database,
    private readonly local: LocalMember,
    private readonly clock: Clock,
    @Optional() @Inject(MemberLiveness) private readonly liveness: MemberLiveness | null = null,
  ) {
    super();
  }

  override async run(signal: AbortSignal): Promise<void> {
    if (!this.local.clustered || this.liveness === null || this.liveness.leaderId() !== this.local.id) return;
    for (const row of this.repository.list(this.database.read, { pending: true })) {
      if (signal.aborted || row.id === this.local.id) continue;
      if (row.state === 'pending') await this.removeGhost(row);
      else await this.warn(row.id, this.members.isOnline(row.id), () => `Failed to send heartbeat request: ${this.members.view(row).message}`);
    }
    if (!signal.aborted) for (const { id, name, online } of this.witnesses.list()) await this.warn(id, online, () => `The witness "${name}" does not answer`);
  }

  private async removeGhost(row: MemberRow): Promise<void> {
    const since = Math.max(Date.parse(row.config[joiningSince] ?? '') || 0, this.liveness?.lastSeenMs(row.id) ?? 0);
    if (this.clock.now().getTime() - since > pendingMs) await this.removal.removePending(row);
  }

  private async warn(id: number, online: boolean, message: () => string): Promise<void> {
    const about = { type: 'Offline cluster member', entity: { type: 'node', id } } as const;
    const ctx = internalContext();
    if (online) await this.warnings.resolve(ctx, about);
    else await this.warnings.raise(ctx, { ...about, message: message(), repeatMs: pendingMs });
  }
}
