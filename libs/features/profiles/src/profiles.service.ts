import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ProfilePut, ProfilesPost } from '#api-types';
import { validateDevices, validateInstanceConfig, withoutEmpty, type Devices } from '#config-schema';
import { conflict, forbidden, internal, notFound, wrap, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Sql, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { ProjectLimits, ProjectsService, ProjectUsage } from '#features/projects';
import { validateProfileName } from './profile-name.rules.js';
import { ProfileUsage, type ProfileChange } from './profile-usage.registry.js';
import { ProfilesRepository, type ProfileRow, type ProfileValues } from './profiles.repository.js';

export interface ProfileUpdate {
  /** Merges keys and devices instead of replacing them. */
  readonly patch: boolean;
  readonly ifMatch: string | undefined;
}

/** What an ETag of a profile is made of. */
export function profileEtag({ config, description, devices }: ProfileValues): unknown {
  return { config, description, devices };
}

/** Whether instances have anything to do about it. */
const concernsInstances = ({ before, after }: ProfileChange): boolean =>
  JSON.stringify([before.config, before.devices]) !== JSON.stringify([after.config, after.devices]);

/**
 * Profiles by name as a project sees them: its own, or those of the default project when `features.profiles` is off. Changes are written
 * first and then applied to the instances that use the profile, one by one; an instance that does not take it is named in the error.
 */
@Injectable()
export class ProfilesService implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly repository: ProfilesRepository,
    private readonly projects: ProjectsService,
    private readonly projectUsage: ProjectUsage,
    private readonly usage: ProfileUsage,
    private readonly events: EventBus,
    private readonly limits: ProjectLimits,
  ) {}

  onModuleInit(): void {
    this.projectUsage.register('profiles', (sql, project) => this.repository.list(sql, project).map((row) => this.url(row)));
    this.projectUsage.registerFeature('features.profiles', {
      enabled: (tx, project) => {
        if (this.repository.find(tx.sql, project.name, 'default') !== undefined) return;
        this.repository.insert(tx, project.name, 'default', { description: `Default LXD profile for project ${project.name}`, config: {}, devices: {} });
      },
      disabled: (tx, project) => {
        const row = this.repository.find(tx.sql, project.name, 'default');
        if (row !== undefined) this.repository.delete(tx, row.id);
      },
      isContent: (url) => !/^\/1\.0\/profiles\/default(\?|$)/.test(url),
    });
  }

  /** The project whose profiles count; for wording and URLs. @throws `not-found` in LXD's words. */
  owner(project: string, sql?: Sql): string {
    try {
      return this.projects.profileProject(project, sql);
    } catch (error) {
      throw wrap(error, `Failed loading project "${project}"`);
    }
  }

  list(project: string, sql: Sql = this.database.read): ProfileRow[] {
    return this.repository.list(sql, this.owner(project, sql));
  }

  /** @throws `not-found`. */
  get(project: string, name: string, sql: Sql = this.database.read): ProfileRow {
    const row = this.repository.find(sql, this.owner(project, sql), name);
    if (row === undefined) throw notFound('Profile not found');
    return row;
  }

  /** In the order named. @throws `not-found` for an unknown one, `internal` for one named twice, in LXD's words. */
  byNames(project: string, names: readonly string[], sql: Sql = this.database.read): ProfileRow[] {
    if (new Set(names).size !== names.length) throw internal('Duplicate profile found in request');
    return names.map((name) => this.get(project, name, sql));
  }

  /** URL of a profile, naming the project it lies in. */
  url(row: Pick<ProfileRow, 'project' | 'name'>): string {
    return apiUrl(['1.0', 'profiles', row.name], row.project);
  }

  async create(ctx: RequestContext, body: ProfilesPost): Promise<string> {
    const name = body.name ?? '';
    return this.transactions.run(ctx, (tx) => {
      const project = this.owner(ctx.project, tx.sql);
      validateProfileName(name);
      this.validate(tx.sql, ctx.project, body);
      if (this.repository.find(tx.sql, project, name) !== undefined) throw conflict(`Error inserting "${name}" into database: The profile already exists`);
      this.repository.insert(tx, project, name, { description: body.description ?? '', config: withoutEmpty(body.config ?? {}), devices: withoutEmptyOptions(body.devices ?? {}) });
      this.limits.checkProfile(tx.sql, project, 'profile creation');
      const url = this.url({ project, name });
      this.announce(ctx, tx, 'profile-created', project, url);
      return url;
    });
  }

  /** @throws `internal` naming the instances that did not take the change, which is kept all the same (LXD). */
  async update(ctx: RequestContext, name: string, body: ProfilePut, { patch, ifMatch }: ProfileUpdate): Promise<void> {
    const change = await this.transactions.run(ctx, (tx) => {
      const before = this.toUpdate(ctx.project, name, patch, tx.sql);
      checkEtag(ifMatch, profileEtag(before));
      const wanted = patch ? merge(before, body) : { description: body.description ?? '', config: body.config ?? {}, devices: body.devices ?? {} };
      const after = { ...before, description: wanted.description, config: withoutEmpty(wanted.config), devices: withoutEmptyOptions(wanted.devices) };
      this.repository.update(tx, before.id, after);
      // What a project forbids is said before what is wrong, as by LXD.
      this.limits.checkProfile(tx.sql, before.project, 'profile update');
      this.validate(tx.sql, ctx.project, wanted);
      this.usage.check(tx, { before, after });
      this.announce(ctx, tx, 'profile-updated', before.project, this.url(before));
      return { before, after };
    });
    if (!concernsInstances(change)) return;
    const failures = await this.usage.apply(ctx, change);
    if (failures.length === 0) return;
    const lines = failures.map(({ project, instance, error }) => ` - Project: ${project}, Instance: ${instance}: ${error}\n`);
    throw internal(`The following instances failed to update (profile change still saved):\n${lines.join('')}`);
  }

  async rename(ctx: RequestContext, name: string, newName: string): Promise<string> {
    if (name === 'default') throw forbidden('The "default" profile cannot be renamed');
    return this.transactions.run(ctx, (tx) => {
      const project = this.owner(ctx.project, tx.sql);
      validateProfileName(newName);
      if (this.repository.find(tx.sql, project, newName) !== undefined) throw internal(`Name "${newName}" already in use`);
      const row = this.get(ctx.project, name, tx.sql);
      this.repository.rename(tx, row.id, newName);
      const url = this.url({ project, name: newName });
      this.announce(ctx, tx, 'profile-renamed', project, url, { old_name: name });
      return url;
    });
  }

  async remove(ctx: RequestContext, name: string): Promise<void> {
    if (name === 'default') throw forbidden('The "default" profile cannot be deleted');
    await this.transactions.run(ctx, (tx) => {
      const row = this.get(ctx.project, name, tx.sql);
      if (this.usage.usedBy(tx.sql, row).length > 0) throw internal('Profile is currently in use');
      this.repository.delete(tx, row.id);
      this.announce(ctx, tx, 'profile-deleted', row.project, this.url(row));
    });
  }

  /** @throws `not-found`, worded by what is to be done with it. */
  toUpdate(project: string, name: string, patch: boolean, sql: Sql = this.database.read): ProfileRow {
    return this.find(sql, project, name, patch ? `Failed to retrieve profile="${name}"` : `Failed to retrieve profile "${name}"`);
  }

  private find(sql: Sql, project: string, name: string, context: string): ProfileRow {
    const row = this.repository.find(sql, this.owner(project, sql), name);
    if (row === undefined) throw notFound(`${context}: Profile not found`);
    return row;
  }

  private validate(sql: Sql, project: string, body: ProfilePut): void {
    validateInstanceConfig(body.config ?? {}, { type: 'any', profile: true, expanded: false });
    const networkProject = this.projects.networkProject(project, sql);
    const network = this.repository.networkLookup(sql, networkProject);
    validateDevices(body.devices ?? {}, { instanceType: 'any', expanded: false, project: networkProject, network });
  }

  private announce(ctx: RequestContext, tx: Tx, action: string, project: string, source: string, context?: Record<string, unknown>): void {
    tx.afterCommit(() => this.events.lifecycle({ action, source, project, context, requestor: ctx.requestor }));
  }
}

function merge(before: ProfileValues, body: ProfilePut): { description: string; config: Record<string, string>; devices: Devices } {
  return {
    description: body.description ?? before.description,
    config: { ...before.config, ...body.config },
    devices: { ...before.devices, ...body.devices },
  };
}

function withoutEmptyOptions(devices: Devices): Devices {
  return Object.fromEntries(Object.entries(devices).map(([name, config]) => [name, withoutEmpty(config)]));
}
