import { Injectable } from '@nestjs/common';
import type { ClusterGroup, ClusterGroupPut, ClusterGroupsPost } from '#api-types';
import { conflict, forbidden, internal, invalid, LocalMember, notFound, wrap, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Sql } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl } from '#platform/http';
import { GroupsRepository, type GroupRow } from './data/groups.repository.js';
import { MembersRepository } from './data/members.repository.js';
import { checkGroupName } from './rules/group-name.rules.js';

const defaultGroup = 'default';
export const groupUrl = (name: string): string => apiUrl(['1.0', 'cluster', 'groups', name]);

/** `/1.0/cluster/groups`: sets of members that `--target=@group` and projects name. Statuses and words are LXD's. */
@Injectable()
export class ClusterGroups {
  constructor(
    private readonly repository: GroupsRepository,
    private readonly members: MembersRepository,
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly events: EventBus,
    private readonly local: LocalMember,
  ) {}

  list(): ClusterGroup[] {
    this.assertClustered();
    return this.repository.list(this.database.read).map(toApi);
  }

  get(name: string): ClusterGroup {
    this.assertClustered();
    return toApi(this.require(this.database.read, name));
  }

  async create(ctx: RequestContext, body: ClusterGroupsPost): Promise<void> {
    this.assertClustered();
    checkGroupName(body.name);
    await this.transactions.run(ctx, (tx) => {
      if (this.repository.find(tx.sql, body.name) !== undefined) throw conflict('This cluster group already exists');
      const id = this.repository.insert(tx, body.name, body.description);
      this.repository.setMembers(tx, id, this.memberIds(tx.sql, body.members));
      tx.afterCommit(() => this.publish(ctx, 'cluster-group-created', body.name));
    });
  }

  async update(ctx: RequestContext, name: string, body: ClusterGroupPut, options: { readonly patch: boolean }): Promise<void> {
    this.assertClustered();
    await this.transactions.run(ctx, (tx) => {
      const row = this.require(tx.sql, name);
      const description = body.description ?? (options.patch ? row.description : '');
      const members = body.members ?? (options.patch ? row.members : []);
      this.repository.update(tx, row.id, { name, description });
      this.repository.setMembers(tx, row.id, this.memberIds(tx.sql, members));
      tx.afterCommit(() => this.publish(ctx, 'cluster-group-updated', name, { description, members: body.members ?? (options.patch ? members : null) }));
    });
  }

  async rename(ctx: RequestContext, name: string, newName: string): Promise<void> {
    if (name === defaultGroup) throw forbidden('The "default" group cannot be renamed');
    this.assertClustered();
    checkGroupName(newName);
    await this.transactions.run(ctx, (tx) => {
      if (this.repository.find(tx.sql, newName) !== undefined) throw internal(`Name "${newName}" already in use`);
      const row = this.repository.find(tx.sql, name);
      if (row === undefined) throw internal('Query affected 0 rows instead of 1');
      this.repository.update(tx, row.id, { name: newName, description: row.description });
      tx.afterCommit(() => this.publish(ctx, 'cluster-group-renamed', newName, { old_name: name }));
    });
  }

  async remove(ctx: RequestContext, name: string): Promise<void> {
    if (name === defaultGroup) throw forbidden("The 'default' cluster group cannot be deleted");
    this.assertClustered();
    await this.transactions.run(ctx, (tx) => {
      const row = this.repository.find(tx.sql, name);
      if (row === undefined) throw internal('Query deleted 0 rows instead of 1');
      if (row.members.length > 0) throw internal('Only empty cluster groups can be removed');
      this.repository.remove(tx, row.id);
      tx.afterCommit(() => this.publish(ctx, 'cluster-group-deleted', name));
    });
  }

  assertClustered(): void {
    if (!this.local.clustered) throw invalid('This server is not clustered');
  }

  private require(sql: Sql, name: string): GroupRow {
    const row = this.repository.find(sql, name);
    if (row === undefined) throw notFound('Cluster group not found');
    return row;
  }

  private memberIds(sql: Sql, names: readonly string[]): number[] {
    return names.map((name) => {
      const row = this.members.find(sql, name);
      if (row === undefined) throw wrap(notFound('Cluster member not found'), 'Failed to get node info');
      return row.id;
    });
  }

  private publish(ctx: RequestContext, action: string, name: string, context?: Record<string, unknown>): void {
    this.events.lifecycle({ action, source: groupUrl(name), project: ctx.project, requestor: ctx.requestor, context });
  }
}

function toApi({ name, description, members }: GroupRow): ClusterGroup {
  return { description, members, name };
}
