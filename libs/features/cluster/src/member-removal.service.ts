import { Injectable } from '@nestjs/common';
import { AppError, internal, internalContext, invalid, LocalMember, Logger, messageOf, notFound, unavailable, type RequestContext } from '#kernel';
import { ClusterLog, Database, TransactionRunner, type Sql } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl } from '#platform/http';
import { Peers } from '#ports';
import { ClusterMembers } from './cluster-members.service.js';
import { MembersRepository, type MemberRow } from './data/members.repository.js';
import { untrustMember } from './join/member-trust.js';

const prepareMs = 60_000;

/**
 * Takes a member out of the cluster, from any member. In order: it stops voting, it clears its host (not when forced), its rows go in one transaction. The
 * member itself sees its row go and stands alone from then on; one that is down does so when it comes back.
 */
@Injectable()
export class MemberRemoval {
  constructor(
    private readonly members: ClusterMembers,
    private readonly repository: MembersRepository,
    private readonly transactions: TransactionRunner,
    private readonly database: Database,
    private readonly log: ClusterLog,
    private readonly peers: Peers,
    private readonly local: LocalMember,
    private readonly events: EventBus,
    private readonly logger: Logger,
  ) {}

  async remove(ctx: RequestContext, name: string, options: { readonly force: boolean }): Promise<void> {
    this.members.assertClustered();
    const row = this.members.get(name);
    if (this.members.list().length === 1) throw invalid('The last member of a cluster cannot be removed');
    if (options.force) {
      await this.log.release(row.id).catch((error: unknown) => this.logger.warn('Could not take a removed member out of the voters', { member: name, error: messageOf(error) }));
    } else await this.empty(ctx, row);
    await this.transactions.run(ctx, (tx) => {
      const now = this.members.get(name, tx.sql);
      if (!options.force) this.assertEmpty(tx.sql, now);
      untrustMember(tx, now);
      this.repository.remove(tx, now);
      tx.afterCommit(() => this.events.lifecycle({ action: 'cluster-member-removed', source: apiUrl(['1.0', 'cluster', 'members', name]), project: ctx.project, requestor: ctx.requestor }));
    });
  }

  /** Nothing is placed on it from here on. When the rest fails it is as before. */
  private async empty(ctx: RequestContext, row: MemberRow): Promise<void> {
    this.assertEmpty(this.database.read, row);
    if (row.id !== this.local.id && !this.members.isOnline(row.id)) throw unavailable(`Cluster member "${row.name}" is offline: remove it with --force if it will not come back`);
    await this.transactions.run(ctx, (tx) => {
      this.assertEmpty(tx.sql, this.members.get(row.name, tx.sql));
      this.repository.setState(tx, row.id, 'evacuated');
    });
    try {
      await this.log.release(row.id);
      await this.peers.call(row.id, 'cluster.prepare-leaving', {}, { timeoutMs: prepareMs, requestor: ctx.requestor });
    } catch (error) {
      await this.transactions.run(ctx, (tx) => this.repository.setState(tx, row.id, row.state));
      throw error;
    }
  }

  /** Rows of members that asked to join and never came back; called by the reconciler of the leader. */
  async removePending(row: MemberRow): Promise<void> {
    this.logger.warn('Removing a member that began to join and never came back', { member: row.name });
    await this.log.release(row.id);
    await this.transactions.run(internalContext(), (tx) => {
      const now = this.repository.byId(tx.sql, row.id);
      if (now?.state !== 'pending') return;
      untrustMember(tx, now);
      this.repository.remove(tx, now);
    });
  }

  /** The member stays; what it voted with is gone until it is chosen again. */
  async removeVoter(address: string): Promise<void> {
    const row = this.repository.byAddress(this.database.read, address);
    if (!this.local.clustered || row === undefined) throw notFound(`No raft node with address "${address}"`);
    await this.log.release(row.id);
  }

  private assertEmpty(sql: Sql, row: MemberRow): void {
    const left = this.repository.contents(sql, row.id).find(({ names }) => names.length > 0);
    if (left !== undefined) throw this.notEmpty(left);
  }

  private notEmpty({ kind, names }: { kind: string; names: string[] }): AppError {
    return internal(`Node still has the following ${kind}: ${names.join(', ')}`);
  }
}
