import { Injectable } from '@nestjs/common';
import type { ConfigMap, DeviceMap } from '#api-types';
import { findRootDisk, withoutEmpty } from '#config-schema';
import { internal, invalid, newUuid, randomHex, wrap } from '#kernel';
import type { IdmapEntry } from '#ports';
import { isUniqueViolation, type Sql, type Tx } from '#platform/database';
import { VolumesService } from '#features/storage';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { InstanceRepository, type InstanceChange, type InstanceRow, type NewInstance } from './data/instance.repository.js';
import { MemberVolatileStore } from './data/member-volatile.store.js';
import { InstanceDisks } from './instance-disks.js';
import { InstanceNeighbors } from './instance-neighbors.js';
import { changedKeys, normalizeDevices, sorted } from './rules/expand.rules.js';
import { allocateIdmap, idmapKeys, idmapToText, isIsolated, isolatedIdmapSize, type TakenRange } from './rules/idmap.rules.js';
import { checkAddedNics, checkDeviceTypes, checkExpanded, checkOwn, type CheckedInstance } from './rules/instance-check.rules.js';
import { allocateVolatile, concernsCloudInit, dropsIdmapKeys, mergeVolatile, sameLocal, separateVolatile } from './rules/volatile.rules.js';

const random = { uuid: newUuid, hex: randomHex };
const createPrefixes = { config: '', devices: 'Failed initialising instance: Invalid devices' };
const updatePrefixes = { config: 'Invalid config', devices: 'Invalid devices' };
const expandedPrefixes = { config: 'Invalid expanded config', devices: 'Invalid expanded devices' };

/** What an update is asked to make of an instance; texts as users see them, host-derived keys included. */
export interface WantedChange {
  readonly architecture: string;
  readonly ephemeral: boolean;
  readonly description: string;
  readonly profiles: readonly number[];
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
}

export interface AppliedChange {
  readonly before: ExpandedInstance;
  readonly after: ExpandedInstance;
  /** Host-derived keys to remember once the change is committed; null when they stay as they are. */
  readonly local: Readonly<ConfigMap> | null;
}

/**
 * Decisions on instance rows, made inside a transaction on what is read there: names, ids, ranges and addresses are free, the
 * configuration is right, the pieces it names exist.
 */
@Injectable()
export class InstanceRows {
  constructor(
    private readonly repository: InstanceRepository,
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
    private readonly volumes: VolumesService,
    private readonly neighbors: InstanceNeighbors,
    private readonly disks: InstanceDisks,
  ) {}

  /** Writes the rows of a new instance and of its root volume. `fromUser` is as requested plus what the image says. */
  reserve(tx: Tx, project: string, fromUser: NewInstance, hostIdmap: readonly IdmapEntry[]): ExpandedInstance {
    const { limits } = this.neighbors;
    limits.checkVolatile(tx.sql, project, fromUser, fromUser.config, {});
    const draft = this.draft(fromUser, project);
    limits.checkInstance(tx.sql, project, { ...draft, name: fromUser.name, profiles: fromUser.profiles, config: withoutEmpty(draft.config), known: false });
    const network = this.neighbors.networkLookup(tx.sql, project);
    checkDeviceTypes(draft.devices);
    checkOwn({ ...draft, expandedConfig: {}, expandedDevices: {} }, network, createPrefixes);
    const id = this.insert(tx, { ...fromUser, config: withoutEmpty(fromUser.config), devices: normalizeDevices(fromUser.devices) });
    const row = this.repository.findById(id, tx.sql)!;
    const expanded = this.catalog.expand(row, tx.sql);
    this.checkNew(draft, expanded, network);
    this.checkNewDisks(tx.sql, expanded);
    const config = { ...expanded.row.config };
    try {
      Object.assign(config, this.idmapConfig(tx.sql, row, expanded.expandedConfig, hostIdmap), { 'volatile.last_state.idmap': '[]' });
    } catch (error) {
      throw wrap(error, 'Failed initialising instance');
    }
    this.repository.update(tx, id, { ...row, config: allocateVolatile(config, expanded.expandedDevices, random, network) });
    const root = findRootDisk(expanded.expandedDevices).config;
    try {
      this.volumes.reserveInstanceVolume(tx, { pool: root.pool ?? '', project, name: row.name, type: row.type });
    } catch (error) {
      throw wrap(error, 'Failed initialising instance: Failed loading storage pool');
    }
    return this.catalog.expand(this.repository.findById(id, tx.sql)!, tx.sql);
  }

  /** The same checks for one that is there already, in another project or pool. */
  checkArriving(sql: Sql, instance: ExpandedInstance): void {
    const { row } = instance;
    const draft = { type: row.type, networkProject: this.neighbors.networkProject(row.project), config: row.config, devices: row.devices };
    const network = this.neighbors.networkLookup(sql, row.project);
    checkOwn({ ...draft, expandedConfig: {}, expandedDevices: {} }, network, createPrefixes);
    this.checkNew(draft, instance, network);
  }

  /** Checks and writes a change. Throws in LXD's words, before anything was written. Keys that users may not drop may go where we drop them. */
  update(tx: Tx, row: InstanceRow, wanted: WantedChange, hostIdmap: readonly IdmapEntry[], byUser = true): AppliedChange {
    const before = this.catalog.expand(row, tx.sql);
    const known = { row: row.config, local: this.member.get(row.id).volatile };
    const current = mergeVolatile(known.row, known.local);
    const devices = normalizeDevices(wanted.devices);
    const draft: InstanceRow = { ...row, ...wanted, config: sorted(withoutEmpty(wanted.config)), devices };
    const after = this.catalog.expand(draft, tx.sql);
    const network = this.neighbors.networkLookup(tx.sql, row.project);
    const checked: CheckedInstance = { ...draft, networkProject: this.neighbors.networkProject(row.project), expandedConfig: after.expandedConfig, expandedDevices: after.expandedDevices };
    if (byUser) this.neighbors.limits.checkVolatile(tx.sql, row.project, row, draft.config, current);
    this.neighbors.limits.checkInstance(tx.sql, row.project, { ...draft, known: true });
    // As it was sent: an option that is not known is none without a value either.
    checkOwn({ ...checked, devices: wanted.devices }, network, updatePrefixes);
    if (byUser && dropsIdmapKeys(current, draft.config)) throw internal("Volatile idmap keys can't be deleted by the user");
    checkExpanded(checked, network, expandedPrefixes);
    this.checkRootStays(before, after);
    checkAddedNics(row.name, before.expandedDevices, after.expandedDevices, network);
    this.disks.checkAdded(tx.sql, row, before.expandedDevices, after.expandedDevices);
    let config: ConfigMap = draft.config;
    const changed = changedKeys(before.expandedConfig, after.expandedConfig);
    if (idmapKeys.some((key) => changed.includes(key))) config = { ...config, ...this.changedIdmap(tx.sql, row, after.expandedConfig, hostIdmap) };
    if (concernsCloudInit(before, after)) config = { ...config, 'volatile.cloud-init.instance-id': '' };
    const separated = separateVolatile(allocateVolatile(config, after.expandedDevices, random, network), known);
    const change: InstanceChange = { ...draft, config: separated.row };
    this.repository.update(tx, row.id, change);
    return {
      before,
      after: this.catalog.expand({ ...draft, config: separated.row }, tx.sql),
      local: sameLocal(separated.local, known.local) ? null : separated.local,
    };
  }

  /** When a profile changed under an instance: allocations follow. Returns null when the row stays as it is. */
  settle(tx: Tx, row: InstanceRow, former: ExpandedInstance, hostIdmap: readonly IdmapEntry[]): ExpandedInstance | null {
    const instance = this.catalog.expand(row, tx.sql);
    const changed = changedKeys(former.expandedConfig, instance.expandedConfig);
    const idmap = idmapKeys.some((key) => changed.includes(key)) ? this.idmapConfig(tx.sql, row, instance.expandedConfig, hostIdmap) : {};
    const forgotten: ConfigMap = concernsCloudInit(former, instance) ? { 'volatile.cloud-init.instance-id': '' } : {};
    const config = allocateVolatile({ ...row.config, ...idmap, ...forgotten }, instance.expandedDevices, random, this.neighbors.networkLookup(tx.sql, row.project));
    if (changedKeys(row.config, config).length === 0) return null;
    this.repository.update(tx, row.id, { ...row, config });
    return this.catalog.expand({ ...row, config }, tx.sql);
  }

  /** On another host its ids are others', and a range of its own may be taken there: its root is mounted with whatever it gets. */
  settleIdmap(tx: Tx, row: InstanceRow, hostIdmap: readonly IdmapEntry[]): void {
    const { expandedConfig } = this.catalog.expand(row, tx.sql);
    if (isIsolated(expandedConfig) && this.keepsRange(tx.sql, row, expandedConfig, hostIdmap)) return;
    const keys = this.idmapConfig(tx.sql, row, expandedConfig, hostIdmap);
    if (changedKeys(row.config, { ...row.config, ...keys }).length > 0) this.repository.update(tx, row.id, { ...row, config: sorted({ ...row.config, ...keys }) });
  }

  private keepsRange(sql: Sql, row: InstanceRow, expandedConfig: Readonly<ConfigMap>, hostIdmap: readonly IdmapEntry[]): boolean {
    const [base, size] = [Number(row.config['volatile.idmap.base'] ?? 0), isolatedIdmapSize(expandedConfig)];
    const free = this.takenRanges(sql, row).every((other) => base + size <= other.base || other.base + other.size <= base);
    return free && hostIdmap.some(({ hostId, range }) => hostId <= base && base + size <= hostId + range);
  }

  private insert(tx: Tx, instance: NewInstance): number {
    try {
      return this.repository.reserve(tx, instance);
    } catch (error) {
      if (isUniqueViolation(error)) throw invalid('Add instance info to the database: This "instances" entry already exists', { cause: error });
      throw error;
    }
  }

  private draft(instance: NewInstance, project: string): Omit<CheckedInstance, 'expandedConfig' | 'expandedDevices'> {
    return { type: instance.type, networkProject: this.neighbors.networkProject(project), config: instance.config, devices: normalizeDevices(instance.devices) };
  }

  private checkNew(draft: Omit<CheckedInstance, 'expandedConfig' | 'expandedDevices'>, expanded: ExpandedInstance, network: ReturnType<InstanceNeighbors['networkLookup']>): void {
    const prefix = 'Failed initialising instance';
    const checked = { ...draft, expandedConfig: expanded.expandedConfig, expandedDevices: expanded.expandedDevices };
    try {
      findRootDisk(Object.fromEntries(Object.entries(expanded.expandedDevices).filter(([, device]) => device.type === 'disk')));
    } catch (error) {
      const several = error instanceof Error && error.message.startsWith('More than one');
      throw wrap(error, several ? `${prefix}: Invalid devices: Failed detecting root disk device` : `${prefix}: Failed getting root disk`);
    }
    checkExpanded(checked, network, { config: `${prefix}: Invalid config`, devices: `${prefix}: Invalid devices` });
  }

  private checkNewDisks(sql: Sql, { row, expandedDevices }: ExpandedInstance): void {
    try {
      this.disks.checkAdded(sql, row, {}, expandedDevices);
    } catch (error) {
      throw wrap(error, 'Failed initialising instance');
    }
  }

  private checkRootStays(before: ExpandedInstance, after: ExpandedInstance): void {
    const [from, to] = [findRootDisk(before.expandedDevices).config.pool, findRootDisk(after.expandedDevices).config.pool];
    if (from !== to) throw internal(`Cannot update root disk device pool name to "${to}"`);
  }

  private changedIdmap(sql: Sql, row: InstanceRow, expandedConfig: Readonly<ConfigMap>, hostIdmap: readonly IdmapEntry[]): ConfigMap {
    try {
      return this.idmapConfig(sql, row, expandedConfig, hostIdmap);
    } catch (error) {
      throw wrap(error, 'Failed to get ID map');
    }
  }

  private idmapConfig(sql: Sql, row: InstanceRow, expandedConfig: Readonly<ConfigMap>, hostIdmap: readonly IdmapEntry[]): ConfigMap {
    const taken: TakenRange[] = isIsolated(expandedConfig) ? this.takenRanges(sql, row) : [];
    const { base, map } = allocateIdmap(expandedConfig, hostIdmap, taken);
    return { 'volatile.idmap.base': String(base), 'volatile.idmap.next': idmapToText(map) };
  }

  private takenRanges(sql: Sql, row: InstanceRow): TakenRange[] {
    return this.repository.listOthersOfMember(sql, row.memberId, row.id).flatMap((other) => {
      const { expandedConfig } = this.catalog.expand(other, sql);
      return isIsolated(expandedConfig) ? [{ base: Number(expandedConfig['volatile.idmap.base'] ?? 0), size: isolatedIdmapSize(expandedConfig) }] : [];
    });
  }
}
