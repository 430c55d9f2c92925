import { Injectable } from '@nestjs/common';
import type { ConfigMap, DeviceMap, InstanceType } from '#api-types';
import { Database, type Sql, type Tx } from '#platform/database';

/** `Creating` until its operation has succeeded, `Deleting` once its removal cannot be taken back. */
export type InstanceRowState = 'Creating' | 'Created' | 'Deleting';

export interface InstanceRow {
  readonly id: number;
  readonly memberId: number;
  /** Name of the member it is on; `none` outside a cluster. */
  readonly location: string;
  readonly projectId: number;
  /** Name of the project. */
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly architecture: string;
  readonly ephemeral: boolean;
  readonly stateful: boolean;
  readonly description: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly lastUsedAt: string;
  readonly state: InstanceRowState;
  readonly placementEpoch: number;
  /** Ids, in the order they are applied, so that renaming a profile touches no instance. */
  readonly profiles: readonly number[];
  /** Keys sorted; host-derived `volatile.*` is not in here. */
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
}

/** What `PUT` and `PATCH` may change. */
export interface InstanceChange {
  readonly architecture: string;
  readonly ephemeral: boolean;
  readonly description: string;
  readonly profiles: readonly number[];
  readonly config: Readonly<ConfigMap>;
  readonly devices: Readonly<DeviceMap>;
}

export interface NewInstance extends InstanceChange {
  readonly memberId: number;
  readonly projectId: number;
  readonly name: string;
  readonly type: InstanceType;
}

interface RawRow {
  readonly id: number;
  readonly node_id: number;
  readonly location: string;
  readonly project_id: number;
  readonly project: string;
  readonly name: string;
  readonly type: string;
  readonly architecture: string;
  readonly ephemeral: number;
  readonly stateful: number;
  readonly description: string;
  readonly creation_date: string;
  readonly last_use_date: string;
  readonly state: string;
  readonly placement_epoch: number;
  readonly profiles: string;
  readonly config: string;
  readonly devices: string;
}

const select = 'SELECT i.*, p.name AS project, n.name AS location FROM instances i JOIN projects p ON p.id = i.project_id JOIN nodes n ON n.id = i.node_id';
const never = '1970-01-01T00:00:00Z';

/** Rows of instances. Decisions read through the transaction, lists through the committed state. */
@Injectable()
export class InstanceRepository {
  constructor(private readonly database: Database) {}

  listAll(sql: Sql = this.database.read): InstanceRow[] {
    return sql.all<RawRow>(`${select} ORDER BY i.id`).map(fromRaw);
  }

  listByIds(ids: readonly number[]): InstanceRow[] {
    return this.database.read.all<RawRow>(`${select} WHERE i.id IN (SELECT value FROM json_each(?))`, JSON.stringify(ids)).map(fromRaw);
  }

  findById(id: number, sql: Sql = this.database.read): InstanceRow | undefined {
    const raw = sql.get<RawRow>(`${select} WHERE i.id = ?`, id);
    return raw && fromRaw(raw);
  }

  findByName(project: string, name: string, sql: Sql = this.database.read): InstanceRow | undefined {
    const raw = sql.get<RawRow>(`${select} WHERE p.name = ? AND i.name = ?`, project, name);
    return raw && fromRaw(raw);
  }

  listByProfile(sql: Sql, profileId: number): InstanceRow[] {
    return sql.all<RawRow>(`${select} WHERE EXISTS (SELECT 1 FROM json_each(i.profiles) WHERE value = ?) ORDER BY i.id`, profileId).map(fromRaw);
  }

  namesOfProject(sql: Sql, project: string): string[] {
    return sql.all<{ name: string }>('SELECT i.name FROM instances i JOIN projects p ON p.id = i.project_id WHERE p.name = ? ORDER BY i.id', project)
      .map((row) => row.name);
  }

  /** Rows of this member that take part in giving out ids: all but the one named. */
  listOthersOfMember(sql: Sql, memberId: number, exceptId: number): InstanceRow[] {
    return sql.all<RawRow>(`${select} WHERE i.node_id = ? AND i.id <> ?`, memberId, exceptId).map(fromRaw);
  }

  /** The unique constraint on project and name is the caller's to translate. */
  reserve(tx: Tx, instance: NewInstance): number {
    const id = tx.nextId('instances');
    tx.sql.run(
      `INSERT INTO instances (id, node_id, project_id, name, type, architecture, ephemeral, stateful, description, creation_date, last_use_date, state,
         placement_epoch, profiles, config, devices)
       VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 'Creating', 1, ?, ?, ?)`,
      id, instance.memberId, instance.projectId, instance.name, instance.type, instance.architecture, instance.ephemeral ? 1 : 0,
      instance.description, tx.now.toISOString(), never, JSON.stringify(instance.profiles), JSON.stringify(instance.config), JSON.stringify(instance.devices));
    return id;
  }

  setState(tx: Tx, id: number, state: InstanceRowState): void {
    tx.sql.run('UPDATE instances SET state = ? WHERE id = ? AND state <> ?', state, id, state);
  }

  setStateful(tx: Tx, id: number, stateful: boolean): void {
    tx.sql.run('UPDATE instances SET stateful = ? WHERE id = ?', stateful ? 1 : 0, id);
  }

  rename(tx: Tx, id: number, name: string): void {
    tx.sql.run('UPDATE instances SET name = ? WHERE id = ?', name, id);
  }

  /** In another project, under the same name or another. */
  relocate(tx: Tx, id: number, { projectId, name }: { readonly projectId: number; readonly name: string }): void {
    tx.sql.run('UPDATE instances SET project_id = ?, name = ? WHERE id = ?', projectId, name, id);
  }

  /** Of an instance that was made elsewhere before. RFC 3339. */
  setTimes(tx: Tx, id: number, times: { readonly createdAt: string; readonly lastUsedAt: string }): void {
    tx.sql.run('UPDATE instances SET creation_date = ?, last_use_date = ? WHERE id = ?', times.createdAt, times.lastUsedAt, id);
  }

  /** On another member from now on. */
  place(tx: Tx, id: number, memberId: number, placementEpoch: number): void {
    tx.sql.run('UPDATE instances SET node_id = ?, placement_epoch = ? WHERE id = ?', memberId, placementEpoch, id);
  }

  update(tx: Tx, id: number, change: InstanceChange): void {
    tx.sql.run(
      'UPDATE instances SET architecture = ?, ephemeral = ?, description = ?, profiles = ?, config = ?, devices = ? WHERE id = ?',
      change.architecture, change.ephemeral ? 1 : 0, change.description, JSON.stringify(change.profiles), JSON.stringify(change.config),
      JSON.stringify(change.devices), id);
  }

  /** Absent is success. */
  remove(tx: Tx, id: number): void {
    tx.sql.run('DELETE FROM instances WHERE id = ?', id);
  }
}

function fromRaw(raw: RawRow): InstanceRow {
  return {
    id: raw.id, memberId: raw.node_id, location: raw.location, projectId: raw.project_id, project: raw.project, name: raw.name, type: raw.type as InstanceType,
    architecture: raw.architecture, ephemeral: raw.ephemeral !== 0, stateful: raw.stateful !== 0, description: raw.description,
    createdAt: raw.creation_date, lastUsedAt: raw.last_use_date, state: raw.state as InstanceRowState, placementEpoch: raw.placement_epoch,
    profiles: JSON.parse(raw.profiles) as number[], config: JSON.parse(raw.config) as ConfigMap, devices: JSON.parse(raw.devices) as DeviceMap,
  };
}
