import { Injectable } from '@nestjs/common';
import type { ProjectFeature } from '#config-schema';
import type { Sql, Tx } from '#platform/database';
import type { ProjectRow } from './data/projects.repository.js';

/** Order in which users are listed, as in LXD. */
const nouns = ['instances', 'profiles', 'images', 'volumes', 'networks', 'network-acls'] as const;
export type ProjectNoun = (typeof nouns)[number];

/** URLs of the noun's objects that lie in the project. Called inside transactions; must only read. */
export type ProjectUsers = (sql: Sql, project: string) => string[];

/** Rows that come and go with a feature of a project, such as its default profile. Called inside the transaction that changes it. */
export interface FeatureHook {
  enabled(tx: Tx, project: ProjectRow): void;
  disabled(tx: Tx, project: ProjectRow): void;
  /** A row such as the default profile is no content. Default: every URL counts. */
  isContent?(url: string): boolean;
}

/** Who lies in projects. Features above register themselves when their module starts. */
@Injectable()
export class ProjectUsage {
  private readonly users = new Map<ProjectNoun, ProjectUsers[]>();
  private readonly hooks: { feature: ProjectFeature; hook: FeatureHook }[] = [];

  register(noun: ProjectNoun, users: ProjectUsers): void {
    this.users.set(noun, [...(this.users.get(noun) ?? []), users]);
  }

  registerFeature(feature: ProjectFeature, hook: FeatureHook): void {
    this.hooks.push({ feature, hook });
  }

  usedBy(sql: Sql, project: string): string[] {
    return nouns.flatMap((noun) => this.of(noun, sql, project));
  }

  /** The users that stand in the way of deleting or renaming the project. */
  content(sql: Sql, project: string): string[] {
    // Access lists go with their project, as in LXD.
    return nouns.filter((noun) => noun !== 'network-acls').flatMap((noun) => this.of(noun, sql, project)).filter((url) => this.hooks.every(({ hook }) => hook.isContent?.(url) ?? true));
  }

  private of(noun: ProjectNoun, sql: Sql, project: string): string[] {
    return (this.users.get(noun) ?? []).flatMap((users) => users(sql, project));
  }

  switched(tx: Tx, project: ProjectRow, feature: ProjectFeature, enabled: boolean): void {
    for (const entry of this.hooks) {
      if (entry.feature !== feature) continue;
      if (enabled) entry.hook.enabled(tx, project);
      else entry.hook.disabled(tx, project);
    }
  }
}
