import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { ConfigMap, DeviceMap } from '#api-types';
import { LocalMember, notFound } from '#kernel';
import { ChangeFeed, Database, type Sql } from '#platform/database';
import { expand, type Expandable } from '../rules/expand.rules.js';
import { mergeVolatile } from '../rules/volatile.rules.js';
import { InstanceRepository, type InstanceRow } from './instance.repository.js';
import { MemberVolatileStore } from './member-volatile.store.js';

/** A row with its profiles applied. Shared between readers: never change it. */
export interface ExpandedInstance {
  readonly row: InstanceRow;
  readonly profileNames: readonly string[];
  /** Profiles and row; without what only the member knows. */
  readonly expandedConfig: Readonly<ConfigMap>;
  readonly expandedDevices: Readonly<DeviceMap>;
}

interface ProfileValue extends Expandable {
  readonly name: string;
}

/**
 * All instances as committed, in memory, with profiles applied: lists of a thousand and power changes read nothing from the disk. The
 * change feed says what to read again, before the writer's caller goes on, so nobody reads less than what it wrote. For showing and
 * for host work only: a write decides on rows it reads in its own transaction.
 */
@Injectable()
export class InstanceCatalog implements OnModuleDestroy {
  private readonly byId = new Map<number, ExpandedInstance>();
  private readonly byName = new Map<string, ExpandedInstance>();
  private readonly stale = new Set<number>();
  private profiles: ReadonlyMap<number, ProfileValue> | undefined;
  private complete = false;
  private readonly unsubscribe: (() => void)[];

  constructor(
    private readonly repository: InstanceRepository,
    private readonly database: Database,
    private readonly member: MemberVolatileStore,
    private readonly self: LocalMember,
    feed: ChangeFeed,
  ) {
    this.unsubscribe = [
      feed.subscribe(['instances'], (changes) => {
        for (const change of changes) this.stale.add(Number(change.key[0]));
      }),
      feed.subscribe(['profiles', 'projects', 'nodes'], () => this.forgetAll()),
      feed.onReset(() => this.forgetAll()),
    ];
  }

  onModuleDestroy(): void {
    for (const stop of this.unsubscribe) stop();
  }

  /** In order of creation. */
  all(): ExpandedInstance[] {
    this.refresh();
    return [...this.byId.values()];
  }

  /** Those on this member, in order of creation. */
  local(): ExpandedInstance[] {
    return this.all().filter((instance) => this.isLocal(instance));
  }

  isLocal({ row }: ExpandedInstance): boolean {
    return row.memberId === this.self.id;
  }

  /** One project's, or all with null, in order of creation. */
  ofProject(project: string | null): ExpandedInstance[] {
    const all = this.all();
    return project === null ? all : all.filter((instance) => instance.row.project === project);
  }

  find(project: string, name: string): ExpandedInstance | undefined {
    this.refresh();
    return this.byName.get(key(project, name));
  }

  findById(id: number): ExpandedInstance | undefined {
    this.refresh();
    return this.byId.get(id);
  }

  /** @throws `not-found` in LXD's words. */
  get(project: string, name: string): ExpandedInstance {
    const instance = this.find(project, name);
    if (instance === undefined) throw notFound('Instance not found');
    return instance;
  }

  /** Own keys as users see them: the row's and the member's. */
  ownConfig(instance: ExpandedInstance): ConfigMap {
    return mergeVolatile(instance.row.config, this.member.get(instance.row.id).volatile);
  }

  /** Expanded keys as users see them and as the host gets them. */
  fullConfig(instance: ExpandedInstance): ConfigMap {
    return mergeVolatile(instance.expandedConfig, this.member.get(instance.row.id).volatile);
  }

  /**
   * The same for a row read elsewhere, in a transaction for instance, with the profiles seen there. `instead` stands in for the
   * profile of its id: as it was, or as it would be.
   */
  expand(row: InstanceRow, sql?: Sql, instead?: ProfileValue & { readonly id: number }): ExpandedInstance {
    const profiles = sql === undefined ? this.profileValues() : readProfiles(sql, row.profiles);
    const used = row.profiles.map((id) => (id === instead?.id ? instead : profiles.get(id))).filter((profile) => profile !== undefined);
    const { config, devices } = expand(used, row);
    return { row, profileNames: used.map((profile) => profile.name), expandedConfig: config, expandedDevices: devices };
  }

  private refresh(): void {
    if (!this.complete) {
      this.forgetAll();
      for (const row of this.repository.listAll()) this.put(row);
      this.complete = true;
    } else if (this.stale.size > 0) {
      const ids = [...this.stale];
      const rows = new Map(this.repository.listByIds(ids).map((row) => [row.id, row]));
      for (const id of ids) this.replace(id, rows.get(id));
    }
    this.stale.clear();
  }

  private replace(id: number, row: InstanceRow | undefined): void {
    const before = this.byId.get(id);
    if (before && this.byName.get(key(before.row.project, before.row.name)) === before) this.byName.delete(key(before.row.project, before.row.name));
    if (row === undefined) this.byId.delete(id);
    else this.put(row);
  }

  private put(row: InstanceRow): void {
    const instance = this.expand(row);
    this.byId.set(row.id, instance);
    this.byName.set(key(row.project, row.name), instance);
  }

  private forgetAll(): void {
    this.byId.clear();
    this.byName.clear();
    this.profiles = undefined;
    this.complete = false;
  }

  private profileValues(): ReadonlyMap<number, ProfileValue> {
    return (this.profiles ??= readProfiles(this.database.read, null));
  }
}

function key(project: string, name: string): string {
  return `${project}/${name}`;
}

function readProfiles(sql: Sql, ids: readonly number[] | null): Map<number, ProfileValue> {
  const rows = sql.all<{ id: number; name: string; config: string; devices: string }>(
    'SELECT id, name, config, devices FROM profiles WHERE ? IS NULL OR id IN (SELECT value FROM json_each(?))',
    ids === null ? null : 1, JSON.stringify(ids ?? []));
  return new Map(rows.map((row) => [row.id, { name: row.name, config: JSON.parse(row.config) as ConfigMap, devices: JSON.parse(row.devices) as DeviceMap }]));
}
