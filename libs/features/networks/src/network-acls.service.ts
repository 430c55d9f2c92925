import { isDeepStrictEqual } from 'node:util';
import { Injectable } from '@nestjs/common';
import type { NetworkAcl, NetworkAclPut, NetworkAclsPost } from '#api-types';
import { conflict, internal, internalContext, invalid, Logger, messageOf, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Sql } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { ClusterNetworks } from './cluster-networks.service.js';
import { NetworkAclsRepository, type NetworkAclContent, type NetworkAclRow } from './data/network-acls.repository.js';
import { NetworksRepository, type NetworkRow } from './data/networks.repository.js';
import { NetworkProjects } from './network-projects.service.js';
import { NetworkSpecs } from './network-specs.service.js';
import { aclNames, namesAcl, normaliseRule, validateAcl, validateAclName } from './rules/network-acl.rules.js';
import { compact } from './rules/network-config.rules.js';

/** What of a project may use an access list. */
interface PossibleUsers {
  readonly lists: readonly NetworkAclRow[];
  readonly networks: readonly NetworkRow[];
}

/**
 * Access lists. A list that networks use is changed in its row first, then on the hosts of all members; where one refuses, the row goes back, unless it has been
 * changed again. Whoever was away follows the row.
 */
@Injectable()
export class NetworkAcls {
  constructor(
    private readonly database: Database,
    private readonly runner: TransactionRunner,
    private readonly acls: NetworkAclsRepository,
    private readonly networks: NetworksRepository,
    private readonly projects: NetworkProjects,
    private readonly specs: NetworkSpecs,
    private readonly cluster: ClusterNetworks,
    private readonly events: EventBus,
    private readonly logger: Logger,
  ) {}

  list(project: string): NetworkAcl[] {
    const owner = this.projects.owner(project);
    const among = this.among(this.database.read, owner);
    return among.lists.map((row) => apiOf(row, among));
  }

  get(project: string, name: string): { acl: NetworkAcl; etag: unknown } {
    const owner = this.projects.owner(project);
    const row = this.acls.get(this.database.read, owner, name);
    return { acl: apiOf(row, this.among(this.database.read, owner)), etag: etagOf(row) };
  }

  /** LXD reads the log of Open Virtual Network alone; what a bridge's rules log is in the kernel's. */
  log(project: string, name: string): never {
    this.get(project, name);
    throw internal('Only OVN log entries may be retrieved at this time');
  }

  async create(ctx: RequestContext, request: NetworkAclsPost): Promise<void> {
    const { name } = request;
    const project = this.projects.owner(ctx.project);
    if (this.acls.find(this.database.read, project, name) !== undefined) throw invalid('The network ACL already exists');
    validateAclName(name);
    const content = contentOf(request);
    await this.runner.run(ctx, (tx) => {
      if (this.acls.find(tx.sql, project, name) !== undefined) throw invalid('The network ACL already exists');
      validateAcl(content.config, content, [...this.names(tx.sql, project), name]);
      this.acls.insert(tx, { project, name, ...content });
      tx.afterCommit(() => this.announce(ctx, 'network-acl-created', project, name));
    });
  }

  /** PUT replaces; PATCH leaves alone what is not named. */
  async update(ctx: RequestContext, name: string, request: NetworkAclPut, options: { readonly merge: boolean; readonly ifMatch: string | undefined }): Promise<void> {
    const project = this.projects.owner(ctx.project);
    const before = this.acls.get(this.database.read, project, name);
    checkEtag(options.ifMatch, etagOf(before));
    const content = contentOf(options.merge
      ? { description: request.description ?? before.description, ingress: request.ingress ?? [...before.ingress], egress: request.egress ?? [...before.egress], config: { ...before.config, ...request.config } }
      : request);
    const users = await this.runner.run(ctx, (tx) => {
      const row = this.acls.get(tx.sql, project, name);
      checkEtag(options.ifMatch, etagOf(row));
      validateAcl(content.config, content, this.names(tx.sql, project));
      this.acls.update(tx, row.id, content);
      const using = networksUsing(name, this.among(tx.sql, project));
      // What a bridge cannot have is refused before any host hears of it.
      for (const network of using) this.specs.of(network, tx.sql);
      return using;
    });
    try {
      await this.apply(ctx, users);
    } catch (error) {
      await this.runner.run(internalContext(), (tx) => {
        const now = this.acls.find(tx.sql, project, name);
        // Somebody who has changed it since was told that it is so.
        if (now?.id === before.id && isDeepStrictEqual(etagOf(now), etagOf({ ...before, ...content }))) this.acls.update(tx, before.id, before);
      });
      await this.apply(ctx, users).catch((undoing: unknown) => this.logger.error('Failed to restore an access list after a refused change', { acl: name, error: messageOf(undoing) }));
      throw error;
    }
    this.announce(ctx, 'network-acl-updated', project, name);
  }

  async rename(ctx: RequestContext, name: string, newName: string): Promise<void> {
    const project = this.projects.owner(ctx.project);
    this.acls.get(this.database.read, project, name);
    await this.runner.run(ctx, (tx) => {
      const row = this.acls.get(tx.sql, project, name);
      if (this.acls.find(tx.sql, project, newName) !== undefined) throw conflict('An ACL by that name exists already');
      if (usedBy(row, this.among(tx.sql, project)).length > 0) throw invalid('Cannot rename an ACL that is in use');
      validateAclName(newName);
      this.acls.rename(tx, row.id, newName);
      tx.afterCommit(() => this.announce(ctx, 'network-acl-renamed', project, newName, { old_name: name }));
    });
  }

  async delete(ctx: RequestContext, name: string): Promise<void> {
    const project = this.projects.owner(ctx.project);
    await this.runner.run(ctx, (tx) => {
      const row = this.acls.get(tx.sql, project, name);
      if (usedBy(row, this.among(tx.sql, project)).length > 0) throw invalid('Cannot delete an ACL that is in use');
      this.acls.delete(tx, row.id);
      tx.afterCommit(() => this.announce(ctx, 'network-acl-deleted', project, name));
    });
  }

  private names(sql: Sql, project: string): string[] {
    return this.acls.list(sql, project).map(({ name }) => name);
  }

  private among(sql: Sql, project: string): PossibleUsers {
    return { lists: this.acls.list(sql, project), networks: this.networks.listByProject(sql, project) };
  }

  private async apply(ctx: RequestContext, networks: readonly NetworkRow[]): Promise<void> {
    for (const { id } of networks) await this.cluster.ensureEverywhere(ctx, id);
  }

  private announce(ctx: RequestContext, action: string, project: string, name: string, context?: Record<string, string>): void {
    this.events.lifecycle({ action, source: apiUrl(['1.0', 'network-acls', name], project), project, requestor: ctx.requestor, context });
  }
}

function networksUsing(name: string, { networks }: PossibleUsers): NetworkRow[] {
  return networks.filter(({ config }) => aclNames(config).includes(name));
}

/** Lists with rules that name it, then networks. What a list says of itself keeps nobody. */
function usedBy({ name, project }: NetworkAclRow, among: PossibleUsers): string[] {
  const lists = among.lists.filter((list) => list.name !== name && namesAcl(list, name));
  return [...lists.map((list) => apiUrl(['1.0', 'network-acls', list.name], project)), ...networksUsing(name, among).map((network) => apiUrl(['1.0', 'networks', network.name], project))];
}

function apiOf(row: NetworkAclRow, among: PossibleUsers): NetworkAcl {
  const { name, description, ingress, egress, config } = row;
  return { name, description, egress, ingress, config, used_by: usedBy(row, among) };
}

function contentOf({ description, ingress, egress, config }: NetworkAclPut): NetworkAclContent {
  return { description: description ?? '', ingress: (ingress ?? []).map(normaliseRule), egress: (egress ?? []).map(normaliseRule), config: compact(config) };
}

function etagOf({ name, description, ingress, egress, config }: NetworkAclRow): unknown {
  return [name, description, ingress, egress, config];
}
