import { Injectable } from '@nestjs/common';
import type { ClusterMemberPut } from '#api-types';
import { conflict, internal, notFound, wrap, type RequestContext } from '#kernel';
import { TransactionRunner, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { ClusterMembers } from './cluster-members.service.js';
import { GroupsRepository } from './data/groups.repository.js';
import { MembersRepository } from './data/members.repository.js';
import { changedMember, checkMemberName } from './rules/member-change.rules.js';

/** PUT, PATCH and rename of a member, through whichever member they come. */
@Injectable()
export class MemberChanges {
  constructor(
    private readonly members: ClusterMembers,
    private readonly repository: MembersRepository,
    private readonly groups: GroupsRepository,
    private readonly transactions: TransactionRunner,
    private readonly events: EventBus,
  ) {}

  async update(ctx: RequestContext, name: string, body: ClusterMemberPut, options: { readonly patch: boolean; readonly ifMatch?: string }): Promise<void> {
    this.members.assertClustered();
    await this.transactions.run(ctx, (tx) => {
      const row = this.members.get(name, tx.sql);
      checkEtag(options.ifMatch, this.members.etag(row));
      const next = changedMember(row, body, options);
      const groupIds = next.groups.map((group) => this.groupId(tx, group));
      this.repository.update(tx, row.id, next);
      this.groups.setGroupsOf(tx, row.id, groupIds);
      tx.afterCommit(() => this.publish(ctx, 'cluster-member-updated', name));
    });
  }

  async rename(ctx: RequestContext, name: string, newName: string): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const row = this.repository.find(tx.sql, name);
      if (newName !== name && this.repository.find(tx.sql, newName) !== undefined) throw conflict('Conflict');
      // LXD's words, on a server that stands alone too.
      if (row === undefined || name === 'none') throw internal('expected to update one row, not 0');
      checkMemberName(newName);
      if (newName === name) return;
      this.repository.rename(tx, row.id, newName);
      tx.sql.run("UPDATE certificates SET name = ? WHERE type = 'server' AND name = ?", newName, name);
      tx.afterCommit(() => this.publish(ctx, 'cluster-member-renamed', newName, { old_name: name }));
    });
  }

  private groupId(tx: Tx, name: string): number {
    const group = this.groups.find(tx.sql, name);
    if (group !== undefined) return group.id;
    throw wrap(notFound('Cluster group not found'), 'Update cluster groups: Failed to add member to cluster group: Failed to get cluster group ID');
  }

  private publish(ctx: RequestContext, action: string, name: string, context?: Record<string, unknown>): void {
    this.events.lifecycle({ action, source: apiUrl(['1.0', 'cluster', 'members', name]), project: ctx.project, requestor: ctx.requestor, context });
  }
}
