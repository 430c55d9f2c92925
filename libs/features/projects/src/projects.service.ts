import { Injectable } from '@nestjs/common';
import { newProjectFeatures, projectFeatures, withoutEmpty, type ProjectFeature } from '#config-schema';
import type { ProjectPut, ProjectsPost } from '#api-types';
import { conflict, forbidden, internal, notFound, wrap, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ProjectsRepository, type ProjectRow } from './data/projects.repository.js';
import { ProjectLimits } from './limits/project-limits.service.js';
import { ProjectUsage } from './project-usage.registry.js';
import { changedFeatures, checkFeatureChange, hasFeature } from './rules/project-features.rules.js';
import { validateProjectName } from './rules/project-name.rules.js';

export interface ProjectUpdate {
  /** Keeps what the body leaves out. A `config` in the body still replaces the whole of it, as in LXD 5.0.2. */
  readonly patch: boolean;
  readonly ifMatch: string | undefined;
}

/** What an ETag of a project is made of. */
export function projectEtag(project: Pick<ProjectRow, 'description' | 'config'>): unknown {
  return { description: project.description, config: project.config };
}

/** Projects by name, where their objects lie, and changes of projects. */
@Injectable()
export class ProjectsService {
  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly repository: ProjectsRepository,
    private readonly usage: ProjectUsage,
    private readonly operations: OperationsService,
    private readonly events: EventBus,
    private readonly limits: ProjectLimits,
  ) {}

  /** @throws `not-found`. Pass a transaction's `sql` where a decision rests on it. */
  get(name: string, sql: Sql = this.database.read): ProjectRow {
    const row = this.repository.find(sql, name);
    if (row === undefined) throw notFound('Project not found');
    return row;
  }

  list(sql: Sql = this.database.read): ProjectRow[] {
    return this.repository.list(sql);
  }

  /** The project whose profiles count in a project: itself, or `default`. @throws `not-found`. */
  profileProject(name: string, sql?: Sql): string {
    return this.owner(name, 'features.profiles', sql);
  }

  imageProject(name: string, sql?: Sql): string {
    return this.owner(name, 'features.images', sql);
  }

  networkProject(name: string, sql?: Sql): string {
    return this.owner(name, 'features.networks', sql);
  }

  /** Of custom volumes; volumes of instances lie in the instance's own project. */
  volumeProject(name: string, sql?: Sql): string {
    return this.owner(name, 'features.storage.volumes', sql);
  }

  async create(ctx: RequestContext, body: ProjectsPost): Promise<string> {
    const name = body.name ?? '';
    validateProjectName(name);
    this.limits.validate(body.config ?? {});
    const config = { ...newProjectFeatures, ...withoutEmpty(body.config ?? {}) };
    await this.transactions.run(ctx, (tx) => {
      if (this.repository.find(tx.sql, name) !== undefined) {
        throw conflict(`Failed creating project "${name}": Failed adding database record: This "projects" entry already exists`);
      }
      const row = this.repository.insert(tx, { name, description: body.description ?? '', config });
      for (const feature of projectFeatures) if (hasFeature(config, feature)) this.usage.switched(tx, row, feature, true);
      this.announce(ctx, tx, 'project-created', name);
    });
    return apiUrl(['1.0', 'projects', name]);
  }

  async update(ctx: RequestContext, name: string, body: ProjectPut, { patch, ifMatch }: ProjectUpdate): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const before = this.get(name, tx.sql);
      checkEtag(ifMatch, projectEtag(before));
      const config = withoutEmpty(body.config ?? (patch ? before.config : {}));
      const description = body.description ?? (patch ? before.description : '');
      checkFeatureChange(name, before.config, config, () => this.isEmpty(tx.sql, before));
      this.limits.validate(body.config ?? {}, tx.sql);
      this.limits.checkProject(tx.sql, before, config);
      this.repository.update(tx, before.id, { config, description });
      for (const { feature, enabled } of changedFeatures(before.config, config)) this.usage.switched(tx, before, feature, enabled);
      this.announce(ctx, tx, 'project-updated', name);
    });
  }

  /** LXD makes this an operation, which fails with what stands in the way. @throws `forbidden` for the default project. */
  rename(ctx: RequestContext, name: string, newName: string): Promise<OperationHandle> {
    if (name === 'default') throw forbidden("The 'default' project cannot be renamed");
    return this.operations.runInMemory(ctx, {
      kind: 'project.rename', class: 'task', description: 'Renaming project', resources: {}, conflictKey: `project:${name}`,
      run: () => this.transactions.run(ctx, (tx) => this.renameRow(ctx, tx, name, newName)),
    });
  }

  async remove(ctx: RequestContext, name: string): Promise<void> {
    if (name === 'default') throw forbidden("The 'default' project cannot be deleted");
    await this.transactions.run(ctx, (tx) => {
      const row = this.repository.find(tx.sql, name);
      if (row === undefined) throw notFound(`Fetch project "${name}": Project not found`);
      if (!this.isEmpty(tx.sql, row)) throw internal('Only empty projects can be removed');
      for (const feature of projectFeatures) if (hasFeature(row.config, feature)) this.usage.switched(tx, row, feature, false);
      this.repository.delete(tx, row);
      this.announce(ctx, tx, 'project-deleted', name);
    });
  }

  private renameRow(ctx: RequestContext, tx: Tx, name: string, newName: string): void {
    // The new name's other rules come last in LXD, the taken name first.
    if (newName !== '' && this.repository.find(tx.sql, newName) !== undefined) throw conflict(`A project named "${newName}" already exists`);
    let row: ProjectRow;
    try {
      row = this.get(name, tx.sql);
    } catch (error) {
      throw wrap(error, `Failed loading project "${name}"`);
    }
    if (!this.isEmpty(tx.sql, row)) throw internal('Only empty projects can be renamed');
    validateProjectName(newName);
    this.repository.rename(tx, row, newName);
    this.announce(ctx, tx, 'project-renamed', newName, { old_name: name });
  }

  private isEmpty(sql: Sql, row: ProjectRow): boolean {
    return this.usage.content(sql, row.name).length === 0 && !this.repository.hasContent(sql, row.id);
  }

  private owner(name: string, feature: ProjectFeature, sql: Sql | undefined): string {
    return name === 'default' || hasFeature(this.get(name, sql).config, feature) ? name : 'default';
  }

  private announce(ctx: RequestContext, tx: Tx, action: string, name: string, context?: object): void {
    const source = apiUrl(['1.0', 'projects', name]);
    tx.afterCommit(() => this.events.lifecycle({ action, source, project: name, context: context as Record<string, unknown>, requestor: ctx.requestor }));
  }
}
