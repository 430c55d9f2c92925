import { Injectable } from '@nestjs/common';
import { expandProfiles } from '#config-schema';
import { isTrue } from '#kernel';
import type { Sql } from '#platform/database';

export type ConfigText = Readonly<Record<string, string>>;
export type DeviceText = Readonly<Record<string, ConfigText>>;

/** An instance with its profiles' part, or a profile by itself. */
export interface LimitedEntity {
  /** Empty for a profile. */
  readonly type: 'container' | 'virtual-machine' | '';
  readonly name: string;
  readonly config: ConfigText;
  readonly devices: DeviceText;
}

/** An instance as it is about to be, of which nothing is written yet. */
export interface PlannedInstance {
  readonly type: 'container' | 'virtual-machine';
  readonly name: string;
  /** Numbers, in their order. */
  readonly profiles: readonly number[];
  readonly config: ConfigText;
  readonly devices: DeviceText;
  /** Whether the one of this name is what becomes so; else it is one more. */
  readonly known: boolean;
}

/** What a project's limits and restrictions are about. */
export interface ProjectContent {
  readonly project: { readonly name: string; readonly config: ConfigText };
  readonly instances: readonly LimitedEntity[];
  readonly profiles: readonly LimitedEntity[];
  readonly volumes: readonly { readonly name: string; readonly config: ConfigText }[];
}

interface ProfileRow {
  readonly id: number;
  readonly project_id: number;
  readonly name: string;
  readonly config: string;
  readonly devices: string;
}

/** Reads it as a transaction sees it, the change that is to be judged included. */
@Injectable()
export class ProjectContentRepository {
  /** The names of projects that take their profiles from this one, itself included. */
  profileUsers(sql: Sql, project: string): string[] {
    const all = sql.all<{ name: string; config: string }>('SELECT name, config FROM projects');
    const own = (config: string): boolean => isTrue((JSON.parse(config) as ConfigText)['features.profiles']);
    return all.filter(({ name, config }) => name === project || (project === 'default' && !own(config))).map(({ name }) => name);
  }

  /** Null where the project has neither limits nor restrictions: most have none, and nothing else is read then. */
  limited(sql: Sql, name: string, planned?: PlannedInstance): ProjectContent | null {
    const row = sql.get<{ id: number; name: string; config: string }>('SELECT id, name, config FROM projects WHERE name = ?', name);
    if (row === undefined || !/"(limits\.|restricted)/.test(row.config)) return null;
    return this.content(sql, { id: row.id, name, config: JSON.parse(row.config) as ConfigText }, planned);
  }

  /** Routes of a network of the default project; undefined where there is none of the name. */
  uplinkRoutes(sql: Sql, name: string): string[] | undefined {
    const row = sql.get<{ config: string }>("SELECT n.config FROM networks n JOIN projects p ON p.id = n.project_id WHERE p.name = 'default' AND n.name = ?", name);
    if (row === undefined) return undefined;
    const config = JSON.parse(row.config) as ConfigText;
    return ['ipv4.routes', 'ipv6.routes'].flatMap((key) => (config[key] ?? '').split(',')).map((text) => text.trim()).filter((text) => text !== '');
  }

  content(sql: Sql, project: { readonly id: number; readonly name: string; readonly config: ConfigText }, planned?: PlannedInstance): ProjectContent {
    const profiles = sql.all<ProfileRow>('SELECT id, project_id, name, config, devices FROM profiles');
    const parsed = new Map(profiles.map((profile) => [profile.id, { config: JSON.parse(profile.config) as ConfigText, devices: JSON.parse(profile.devices) as DeviceText }]));
    const written = sql.all<{ type: string; name: string; profiles: string; config: string; devices: string }>(
      'SELECT type, name, profiles, config, devices FROM instances WHERE project_id = ?', project.id)
      .filter(({ name }) => planned?.known !== true || name !== planned.name)
      .map(({ type, name, profiles: ids, config, devices }) => ({
        type: type as PlannedInstance['type'], name, profiles: JSON.parse(ids) as number[], config: JSON.parse(config) as ConfigText, devices: JSON.parse(devices) as DeviceText,
      }));
    const instances = [...written, ...(planned === undefined ? [] : [planned])].toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    const volumes = sql.all<{ name: string; config: string }>("SELECT name, config FROM storage_volumes WHERE project_id = ? AND type = 'custom' ORDER BY name", project.id);
    return {
      project,
      instances: instances.map(({ type, name, profiles: ids, config, devices }) => {
        const used = ids.map((id) => parsed.get(id)).filter((profile) => profile !== undefined);
        return { type, name, ...expandProfiles(used, config, devices) };
      }),
      profiles: profiles.filter((profile) => profile.project_id === project.id).map(({ id, name }) => ({ type: '' as const, name, ...parsed.get(id)! })),
      volumes: volumes.map(({ name, config }) => ({ name, config: JSON.parse(config) as ConfigText })),
    };
  }
}
