import { Injectable } from '@nestjs/common';
import { internal, LocalMember, newUuid, wrap } from '#kernel';
import { Database, type Sql, type Tx } from '#platform/database';
import { SnapshotVolumes, VolumesService } from '#features/storage';
import { onPool } from '../copies/instance-copies.service.js';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceRepository, type InstanceRow } from '../data/instance.repository.js';
import { InstanceSnapshotRepository } from '../data/instance-snapshot.repository.js';
import { InstanceDisks } from '../instance-disks.js';
import { InstanceNeighbors } from '../instance-neighbors.js';
import { InstanceRows } from '../instance-rows.service.js';
import { InstanceSpecs } from '../instance-specs.js';
import { normalizeDevices, sorted } from '../rules/expand.rules.js';
import { isSamePlace, volumeAt, type InstancePlace } from './relocation.params.js';

/** What an instance becomes where its project, pool or name changes: looked at before, checked, and written. */
@Injectable()
export class ArrivingInstance {
  constructor(
    private readonly database: Database,
    private readonly catalog: InstanceCatalog,
    private readonly repository: InstanceRepository,
    private readonly snapshots: InstanceSnapshotRepository,
    private readonly rows: InstanceRows,
    private readonly neighbors: InstanceNeighbors,
    private readonly specs: InstanceSpecs,
    private readonly volumes: VolumesService,
    private readonly volumeSnapshots: SnapshotVolumes,
    private readonly disks: InstanceDisks,
    private readonly self: LocalMember,
  ) {}

  /** As it will be: in the profiles of its new project by the same names, its root disk in the new pool. @throws in LXD's words. */
  at(row: InstanceRow, to: InstancePlace, sql: Sql = this.database.read): ExpandedInstance {
    const before = this.catalog.expand(row, sql);
    const projectId = this.neighbors.projectId(to.project, sql);
    const profiles = to.project === row.project ? row.profiles
      : this.neighbors.profileIds(to.project, before.profileNames, (name) => internal(`Requested profile "${name}" doesn't exist`), sql);
    const root = this.specs.rootOf(before);
    const devices = root.pool === to.pool ? row.devices
      : normalizeDevices({ ...row.devices, [root.device]: { ...before.expandedDevices[root.device], pool: to.pool } });
    const moved = this.catalog.expand({ ...row, projectId, project: to.project, name: to.name, profiles, devices }, sql);
    if (this.specs.rootOf(moved).pool === to.pool) return moved;
    // The profiles of the other project name another pool.
    return this.catalog.expand({ ...moved.row, devices: normalizeDevices({ ...devices, [root.device]: { ...before.expandedDevices[root.device], pool: to.pool } }) }, sql);
  }

  /** Whether its row says that it is there, on whichever member. */
  isAt(id: number, { project, name, pool }: InstancePlace, sql: Sql = this.database.read): boolean {
    const row = this.repository.findById(id, sql);
    return row?.project === project && row.name === name && this.specs.rootOf(this.catalog.expand(row, sql)).pool === pool;
  }

  /** Nothing of the place is taken, and the instance may be there; its volume's rows, of this member, are reserved. @throws in LXD's words. */
  reserve(tx: Tx, row: InstanceRow, from: InstancePlace, to: InstancePlace, snapshots: readonly string[], fromMember?: number): void {
    try {
      const moved = this.at(row, to, tx.sql);
      const taken = this.repository.findByName(to.project, to.name, tx.sql);
      if (taken !== undefined && taken.id !== row.id) throw internal('Add instance info to the database: This "instances" entry already exists');
      this.rows.checkArriving(tx.sql, moved);
      this.checkDisks(tx.sql, moved);
      if (to.project !== row.project) this.neighbors.limits.checkInstance(tx.sql, moved.row.project, { ...moved.row, known: false });
    } catch (error) {
      throw wrap(error, 'Failed creating instance record');
    }
    if (fromMember === undefined && isSamePlace(from, to)) return;
    const source = { ...volumeAt(row.type, from), memberId: fromMember };
    const target = volumeAt(row.type, to);
    try {
      this.volumes.reserveInstanceVolume(tx, target);
    } catch (error) {
      throw wrap(error, 'Failed creating instance record: Failed initialising instance: Failed loading storage pool');
    }
    this.volumeSnapshots.copyRows(tx, source, target, snapshots);
  }

  /** A project that has volumes of its own does not see those of another one. */
  private checkDisks(sql: Sql, { row, expandedDevices }: ExpandedInstance): void {
    try {
      this.disks.checkAdded(sql, { ...row, memberId: this.self.id }, {}, expandedDevices);
    } catch (error) {
      throw wrap(error, 'Failed initialising instance');
    }
  }

  /** The row and those of its snapshots, of which only the ones named go along. Templates are for renames that are nothing else, as in LXD. */
  write(tx: Tx, row: InstanceRow, from: InstancePlace, to: InstancePlace, snapshots: readonly string[]): void {
    const moved = this.at(row, to, tx.sql);
    const another = from.name !== to.name || from.project !== to.project;
    const config = another ? sorted({ ...row.config, 'volatile.cloud-init.instance-id': newUuid() }) : row.config;
    this.repository.relocate(tx, row.id, { projectId: moved.row.projectId, name: to.name });
    this.repository.update(tx, row.id, { ...moved.row, config });
    for (const snapshot of this.snapshots.listByInstance(row.id, tx.sql)) {
      if (!snapshots.includes(snapshot.name)) this.snapshots.remove(tx, snapshot.id);
      else if (from.pool !== to.pool) this.snapshots.setDevices(tx, snapshot.id, onPool(snapshot.devices, moved, to.pool));
    }
  }
}
