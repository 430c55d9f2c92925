import { Injectable } from '@nestjs/common';
import { validateProjectConfig } from '#config-schema';
import { AppError, forbidden, internal, messageOf, type RequestContext } from '#kernel';
import { Database, type Sql } from '#platform/database';
import { allowedProjectsOf } from '#platform/auth';
import { ProjectContentRepository, type ConfigText, type LimitedEntity, type PlannedInstance, type ProjectContent } from './project-content.repository.js';
import { checkAggregates, checkCounts, checkNewLimit } from './limits.rules.js';
import { checkRestrictions, checkVolatile, isRestricted, restriction } from './restrictions.rules.js';

/** A project's rules stand in the way of a change; the request is refused as it is, never an operation that fails. */
export class ProjectRefusal extends AppError {}

/** What is asked for, in the words of errors. */
export type LimitedChange = 'instance creation' | 'instance update' | 'profile creation' | 'profile update' | 'volume creation' | 'volume update';

/**
 * Limits and restrictions of projects (`limits.*`, `restricted.*`). A change is judged in its own transaction on everything the project holds then: instances
 * before anything of them is looked at or written, like LXD; the others after they were written there, and a refusal takes them back with the transaction.
 */
@Injectable()
export class ProjectLimits {
  constructor(
    private readonly repository: ProjectContentRepository,
    private readonly database: Database,
  ) {}

  /** Call after the rows were written. @throws {ProjectRefusal} in LXD's words. */
  check(sql: Sql, project: string, change: LimitedChange): void {
    judge(this.repository.limited(sql, project), change);
  }

  /** An instance that is to be made, or changed. @throws {ProjectRefusal} in LXD's words. */
  checkInstance(sql: Sql, project: string, planned: PlannedInstance): void {
    const content = this.repository.limited(sql, project, planned);
    if (content !== null && !planned.known) refusing(() => checkCounts(content, planned.type));
    judge(content, planned.known ? 'instance update' : 'instance creation');
  }

  /** Keys of `volatile.*` a user may not set by hand. `current`: those that are there, empty for a new instance. */
  checkVolatile(sql: Sql, project: string, entity: Pick<LimitedEntity, 'type' | 'name'>, wanted: ConfigText, current: ConfigText): void {
    const content = this.repository.limited(sql, project);
    if (content !== null) refusing(() => checkVolatile(content.project, entity, wanted, current));
  }

  /** A profile changed, of this project and of those that have none of their own. */
  checkProfile(sql: Sql, project: string, change: LimitedChange): void {
    for (const name of this.repository.profileUsers(sql, project)) this.check(sql, name, change);
  }

  /** Keys and values of a project by themselves, before what it holds is looked at. @throws `invalid` in LXD's words. */
  validate(config: ConfigText, sql: Sql = this.database.read): void {
    validateProjectConfig(config, (network) => this.repository.uplinkRoutes(sql, network));
  }

  /** New values of a project's keys, as they are about to be. */
  checkProject(sql: Sql, project: { readonly id: number; readonly name: string; readonly config: ConfigText }, wanted: ConfigText): void {
    const changed = [...new Set([...Object.keys(project.config), ...Object.keys(wanted)])].filter((key) => /^(limits|restricted)\./.test(key) && (project.config[key] ?? '') !== (wanted[key] ?? ''));
    if (changed.length === 0) return;
    const content = this.repository.content(sql, { ...project, config: wanted });
    for (const key of changed.toSorted()) {
      if (key.startsWith('limits.')) refusing(() => checkNewLimit(content, key, wanted[key] ?? ''));
      else refusing(() => checkRestrictions(content), `Conflict detected when changing "${key}" in project "${project.name}": `);
    }
  }

  /** @throws {ProjectRefusal} where a restricted project has no snapshots, or no backups. */
  assertMayKeep(project: string, what: 'snapshot' | 'backup', sql: Sql = this.database.read): void {
    const config: ConfigText = this.repository.limited(sql, project)?.project.config ?? {};
    if (isRestricted(config) && restriction(config, `restricted.${what}s`) === 'block') throw new ProjectRefusal('internal', `Project "${project}" doesn't allow for ${what} creation`);
  }

  /** Whether a restricted project may see and use a network, or an interface of the host that is none. */
  allowsNetwork(project: string, network: string, managed: boolean, sql: Sql = this.database.read): boolean {
    const config: ConfigText = this.repository.limited(sql, project)?.project.config ?? {};
    if (!isRestricted(config)) return true;
    const rule = restriction(config, 'restricted.devices.nic');
    if (rule === 'block' || (rule === 'managed' && !managed)) return false;
    const access = (config['restricted.networks.access'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
    return access.length === 0 || access.includes(network);
  }

  /** Naming a member or a group of the cluster; administrators may wherever they like. @throws `forbidden`. */
  assertMayTarget(ctx: RequestContext, target: string): void {
    if (target === '' || allowedProjectsOf(ctx) === null) return;
    const config: ConfigText = this.repository.limited(this.database.read, ctx.project)?.project.config ?? {};
    if (!isRestricted(config)) return;
    if (target.startsWith('@')) {
      const groups = (config['restricted.cluster.groups'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
      if (groups.length > 0 && !groups.includes(target.slice(1))) throw forbidden("Project isn't allowed to use this cluster group");
      return;
    }
    if (restriction(config, 'restricted.cluster.target') === 'block') throw forbidden("This project doesn't allow cluster member targeting");
  }
}

function judge(content: ProjectContent | null, change: LimitedChange): void {
  if (content === null) return;
  refusing(() => {
    checkAggregates(content);
    checkRestrictions(content);
  }, `Failed checking if ${change} allowed: `);
}

function refusing(check: () => void, prefix = ''): void {
  try {
    check();
  } catch (error) {
    const { message } = internal(`${prefix}${messageOf(error)}`);
    throw new ProjectRefusal('internal', message, { cause: error });
  }
}
